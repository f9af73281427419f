// Loaded into every Node.js process of an application that the server starts (NODE_OPTIONS=--require). The first HTTP server of the
// process that listens is given the Unix socket FIVEFOLD_SOCKET instead of the port it asks for, so that an application needs no change
// to run behind the server, and several instances of it never want the same port. README.md beside this file tells the whole story.
//
// Nothing here may break the application: what fails is said on standard error, and then Node.js does what it does without this file.
'use strict';

const path_of_socket = process.env.FIVEFOLD_SOCKET;

function say(text) {
  try {
    process.stderr.write(`fivefold: ${text}\n`);
  } catch {
    // Standard error is gone; the application goes on without the line.
  }
}

// ---- where an application asks to listen ----

// The forms of net.Server.listen(), as {port, host, path, fd, handle, options, callback}.
function asked_of(words) {
  let last = words.length - 1;
  while (last >= 0 && words[last] === undefined) --last;
  const callback = last >= 0 && typeof words[last] === 'function' ? words[last] : undefined;
  const first = words[0];
  const asked = {callback, options: {}};
  if (first !== null && typeof first === 'object') {
    asked.options = first;
    if (first._handle || typeof first.listen === 'function' || (typeof first.fd === 'number' && first.fd >= 0)) asked.fd = true;
    else if (first.port === undefined || first.port === null) asked.path = first.path;
    if (first.port !== undefined && first.port !== null) asked.port = Number(first.port);
    asked.host = first.host;
    asked.backlog = first.backlog;
  } else if (typeof first === 'string' && !(Number(first) >= 0)) {
    asked.path = first;
    if (typeof words[1] === 'number') asked.backlog = words[1];
  } else {
    asked.port = first === undefined || first === null || typeof first === 'function' ? 0 : Number(first);
    if (typeof words[1] === 'string') asked.host = words[1];
    asked.backlog = words.slice(1, 3).find((word) => typeof word === 'number');
  }
  return asked;
}

// What address() tells an application that prints where it listens.
function address_of(asked) {
  if (asked.path !== undefined) return asked.path;
  const port = asked.port || Number(process.env.PORT) || 0;
  const host = asked.host || '::';
  if (host === 'localhost') return {address: '127.0.0.1', family: 'IPv4', port};
  return {address: host, family: host.includes(':') ? 'IPv6' : 'IPv4', port};
}

function words_for(asked) {
  if (asked.path !== undefined) return asked.path;
  return asked.port === undefined ? 'a descriptor' : `port ${asked.port}`;
}

const is_tls = (server) => typeof server.addContext === 'function';
const is_http = (server) => 'requestTimeout' in server || 'maxHeadersCount' in server || typeof server.updateSettings === 'function';

// ---- the socket ----

// Whether a process listens on this path. A second process of the application (one it started itself) must not take the socket away.
function is_listened_on(path) {
  const fs = require('fs');
  const listening = 0x10000;  // __SO_ACCEPTCON in the column of flags
  for (const line of fs.readFileSync('/proc/net/unix', 'latin1').split('\n')) {
    if (!line.endsWith(path)) continue;
    const columns = line.trim().split(/\s+/);
    if (columns[7] === path && parseInt(columns[3], 16) & listening) return true;
  }
  return false;
}

function remove_stale(path) {
  try {
    require('fs').unlinkSync(path);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
}

// With socket activation the listening socket is descriptor 3 already.
function inherited_socket() {
  if (!(Number(process.env.LISTEN_FDS) >= 1)) return undefined;
  if (Number(process.env.LISTEN_PID || process.pid) !== process.pid) return undefined;
  return require('fs').fstatSync(3).isSocket() ? 3 : undefined;
}

// ---- the client's address ----

const request_of = Symbol('fivefold.request');

function forwarded_address(socket) {
  const response = socket._httpMessage;
  const request = (response && response.req) || socket[request_of];
  const forwarded = request && request.headers && request.headers['x-forwarded-for'];
  // A request of the server itself, a health check, names nobody.
  if (!forwarded) return '127.0.0.1';
  return forwarded.slice(forwarded.lastIndexOf(',') + 1).trim();
}

// remoteAddress of a Unix socket is undefined, which applications do not expect. Over the server's socket it is the last address in
// X-Forwarded-For: the one the server itself wrote. Found when it is asked for, so that a request that does not ask costs nothing.
function answer_for_remote_address(net) {
  const prototype = net.Socket.prototype;
  const peer_name = prototype._getpeername;  // what remoteAddress and remoteFamily read; they cannot be defined anew
  if (typeof peer_name !== 'function') throw new Error('net.Socket has no _getpeername');
  prototype._getpeername = function _getpeername() {
    const known = peer_name.call(this);
    if (known.address !== undefined || holder === undefined) return known;
    if (this.server !== holder.server && this[request_of] === undefined) return known;
    const address = forwarded_address(this);
    return {address, family: address.includes(':') ? 'IPv6' : 'IPv4', port: undefined};
  };
  // After a response and after an upgrade a socket no longer knows its request.
  const response = require('http').ServerResponse.prototype;
  const detach = response.detachSocket;
  response.detachSocket = function detachSocket(socket) {
    socket[request_of] = this.req;
    return detach.call(this, socket);
  };
}

// A listener for upgrades of ours is there exactly while the application has one: without any, Node.js takes an upgrade for a request.
function remember_upgrades(server) {
  const remember = (request, socket) => {
    socket[request_of] = request;
  };
  const add = (name, listener) => {
    if (name !== 'upgrade' || listener === remember || server.listeners('upgrade').includes(remember)) return;
    server.prependListener('upgrade', remember);
  };
  const remove = (name, listener) => {
    if (name === 'upgrade' && listener !== remember && server.listenerCount('upgrade') === 1) server.removeListener('upgrade', remember);
  };
  if (server.listenerCount('upgrade') > 0) add('upgrade');
  server.on('newListener', add);
  server.on('removeListener', remove);
}

// ---- the end ----

// Listeners for SIGTERM that are the application's own. signal-exit, which hundreds of packages load, has one that does nothing while
// there are others; it does not make the application one that handles the signal.
function own_handlers() {
  const idle = [process.__signal_exit_emitter__, globalThis[Symbol.for('signal-exit emitter')]];
  const counts = idle.map((emitter) => (emitter && Number(emitter.count)) || 0);
  return process.listenerCount('SIGTERM') - 1 - counts[0] - counts[1];
}

let stopping = false;
let holds_for_cluster = false;
let heeds_termination = false;

function heed_termination() {
  if (heeds_termination) return;
  heeds_termination = true;
  process.on('SIGTERM', () => {
    if (stopping || own_handlers() > 0) return;
    stopping = true;
    try {
      if (holds_for_cluster) end_cluster();
      else close_and_exit();
    } catch (error) {
      say(`the application could not be ended in order (${error.message}); it ends now`);
      process.exit(1);
    }
  });
}

// Takes no new connection, lets requests finish, then ends the process. How long that may take is the server's business.
function close_and_exit() {
  if (holder === undefined) process.exit();
  const {server} = holder;
  server.close(() => process.exit());
  const close_idle = () => {
    if (typeof server.closeIdleConnections === 'function') server.closeIdleConnections();
    // To closeIdleConnections() a connection without its first byte is not idle.
    for (const socket of process._getActiveHandles()) {
      if (socket.server === server && socket.bytesRead === 0 && !socket._httpMessage) socket.destroy();
    }
  };
  setInterval(close_idle, 50);
  close_idle();
}

// The primary process of `cluster` holds the socket for its workers.
function end_cluster() {
  const cluster = require('cluster');
  const workers = Object.values(cluster.workers || {});
  const wait = () => {
    if (workers.every((worker) => worker.isDead())) process.exit();
  };
  for (const worker of workers) worker.process.once('exit', wait);
  cluster.disconnect();
  wait();
}

// ---- listen() ----

let holder;  // {server, asked, words, told}: the server that has the socket
let answers_for_remote_address = false;

function take(server, asked, words, listen, net) {
  const cluster = require('cluster');
  const inherited = inherited_socket();
  const options = {readableAll: true, writableAll: true};
  if (inherited !== undefined) {
    options.fd = inherited;
  } else {
    options.path = path_of_socket;
    if (!cluster.isWorker) {
      if (is_listened_on(path_of_socket)) {
        say(`another process of this application has ${path_of_socket} already; this one listens on ${words_for(asked)}, as it asks`);
        return listen.apply(server, words);
      }
      remove_stale(path_of_socket);
    }
  }
  if (asked.backlog !== undefined) options.backlog = asked.backlog;
  if (asked.options.signal !== undefined) options.signal = asked.options.signal;
  if (!answers_for_remote_address) {
    answers_for_remote_address = true;
    try {
      answer_for_remote_address(net);
    } catch (error) {
      say(`remoteAddress of a request stays undefined: ${error.message}`);
    }
  }
  heed_termination();
  const mine = {server, asked, words, told: address_of(asked)};
  holder = mine;
  server.address = () => (server.listening ? (holder === mine ? mine.told : net.Server.prototype.address.call(server)) : null);
  const release = () => {
    server.removeListener('close', release);
    server.removeListener('error', failed);
    if (holder === mine && !stopping) holder = undefined;
  };
  const failed = () => {
    if (!server.listening) release();
  };
  mine.release = release;
  server.prependListener('close', release);
  server.prependListener('error', failed);
  if (is_http(server)) remember_upgrades(server);
  return asked.callback ? listen.call(server, options, asked.callback) : listen.call(server, options);
}

// The one that asks for PORT is the application; another that was faster, say one for metrics, goes where it asked to.
function give_back(listen) {
  const {server, words, asked, release} = holder;
  release();
  server._handle.close();
  server._handle = null;
  listen.apply(server, words.filter((word) => word !== asked.callback));
}

function redirect_listen() {
  const net = require('net');
  const listen = net.Server.prototype.listen;
  const decide = (server, words) => {
    const asked = asked_of(words);
    if (typeof asked.path === 'string' && require('path').resolve(asked.path) === path_of_socket) {
      // The application knows the socket, or this is the primary process of `cluster` that opens it for a worker (which may have made
      // the path relative).
      if (require('cluster').isWorker) return listen.apply(server, words);
      if (!is_listened_on(path_of_socket)) remove_stale(path_of_socket);
      if (!is_http(server)) {
        holds_for_cluster = true;
        heed_termination();
      }
      const options = {...asked.options, path: path_of_socket, readableAll: true, writableAll: true};
      if (asked.backlog !== undefined) options.backlog = asked.backlog;
      return asked.callback ? listen.call(server, options, asked.callback) : listen.call(server, options);
    }
    const wants_port = asked.port > 0 && asked.port === Number(process.env.PORT);
    // A plain socket server is the application only when it wants PORT: most are looking for a free port or speak something else.
    if (!is_http(server) && !(wants_port && !is_tls(server))) return listen.apply(server, words);
    if (is_tls(server)) {
      say(`a server with TLS listens on ${words_for(asked)}, as it asks. The server in front speaks TLS with the clients: let the ` +
          'application create an http server, or give it PORT and address = "https://..."');
      return listen.apply(server, words);
    }
    if (holder !== undefined && holder.server !== server) {
      if (wants_port && holder.asked.port !== asked.port && !require('cluster').isWorker && holder.server._handle) {
        say(`the server for ${words_for(asked)} (PORT) is the application; the one that listened first goes to ${words_for(holder.asked)}, as it asked`);
        give_back(listen);
      } else {
        say(`another server of this application listens on ${words_for(asked)}, as it asks; the requests of the site go to the first one`);
        return listen.apply(server, words);
      }
    }
    if (server.listening) return listen.apply(server, words);
    return take(server, asked, words, listen, net);
  };
  net.Server.prototype.listen = function (...words) {
    let broken;
    try {
      return decide(this, words);
    } catch (error) {
      // What Node.js itself says of wrong arguments and of a server that listens already is for the application.
      if (typeof error.code === 'string' && error.code.startsWith('ERR_')) throw error;
      broken = error;
    }
    say(`the application listens where it asks to, because its socket cannot be used: ${broken.message}`);
    if (holder !== undefined && holder.server === this) holder.release();
    return listen.apply(this, words);
  };
  Object.defineProperty(net.Server.prototype.listen, 'name', {value: 'listen'});
}

// ---- readiness ----

// Applications written for PM2 say process.send('ready'). Without a parent that listens for it, that makes the file the server waits for.
function offer_ready() {
  const file = process.env.FIVEFOLD_READY_FILE;
  if (process.env.FIVEFOLD_READY !== 'notify' || !file || process.send !== undefined) return;
  process.send = function send(message, ...rest) {
    if (message === 'ready') {
      try {
        require('fs').writeFileSync(file, '');
      } catch (error) {
        say(`that the application is ready could not be told: ${error.message}`);
      }
    }
    const callback = rest.reverse().find((word) => typeof word === 'function');
    if (callback) process.nextTick(callback, null);
    return true;
  };
}

try {
  if (path_of_socket) redirect_listen();
  if (require('worker_threads').isMainThread) offer_ready();
} catch (error) {
  say(`the application runs as if started by hand: ${error.message}`);
}
