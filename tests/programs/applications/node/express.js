// Express as it is written every day: a router, forms, cookies, a stream of events, and WebSockets by `ws` on the same server.
const express = require('express');
const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const {WebSocketServer} = require('ws');

const app = express();
app.set('trust proxy', 1);

app.get('/hello', (request, response) => response.type('text').send(`hello ${request.query.name}`));
app.post('/form', express.urlencoded({extended: false}), (request, response) => response.type('text').send(`form ${request.body.name}`));
app.put('/upload', (request, response) => {
  const digest = crypto.createHash('sha256');
  request.on('data', (piece) => digest.update(piece)).on('end', () => response.type('text').send(digest.digest('hex')));
});
app.get('/download/:size', (request, response) => {
  let left = Number(request.params.size);
  const block = Buffer.alloc(65536, 'x');
  const more = () => {
    while (left > 0) {
      const piece = left < block.length ? block.subarray(0, left) : block;
      left -= piece.length;
      if (!response.write(piece)) return response.once('drain', more);
    }
    response.end();
  };
  more();
});
app.get('/cookies', (request, response) => {
  response.cookie('one', '1').cookie('two', '2', {httpOnly: true});
  response.type('text').send(request.headers.cookie || '');
});
app.get('/events', (request, response) => {
  response.writeHead(200, {'content-type': 'text/event-stream', 'cache-control': 'no-cache'});
  response.write('data: first\n\n');
  const waiting = setInterval(() => {
    if (!fs.existsSync(request.query.until)) return;
    clearInterval(waiting);
    response.end('data: last\n\n');
  }, 10);
  response.on('close', () => clearInterval(waiting));
});
app.get('/who', (request, response) => {
  response.json({address: request.socket.remoteAddress, ip: request.ip, protocol: request.protocol, host: request.get('host'), url: request.originalUrl});
});
app.get('/fail', () => {
  throw new Error('on purpose');
});

const server = http.createServer(app);
new WebSocketServer({server, path: '/ws'}).on('connection', (socket) => {
  socket.on('message', (data, binary) => socket.send(binary ? data : `echo ${data}`, {binary}));
});
const port = process.env.PORT || 3000;
server.listen(port, () => console.log(`listening on http://localhost:${server.address().port}/`));
