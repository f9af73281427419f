// Fastify as an ES module with a top-level await.
import Fastify from 'fastify';
import crypto from 'node:crypto';
import fs from 'node:fs';
import {PassThrough, Readable} from 'node:stream';

const app = Fastify({logger: false, trustProxy: 1});

app.addContentTypeParser('application/x-www-form-urlencoded', {parseAs: 'string'}, (request, body, done) => done(null, Object.fromEntries(new URLSearchParams(body))));
app.addContentTypeParser('application/octet-stream', (request, payload, done) => done(null, payload));
app.get('/hello', async (request, reply) => reply.type('text/plain').send(`hello ${request.query.name}`));
app.post('/form', async (request, reply) => reply.type('text/plain').send(`form ${request.body.name}`));
app.put('/upload', {bodyLimit: 100 << 20}, async (request) => {
  const digest = crypto.createHash('sha256');
  for await (const piece of request.body) digest.update(piece);
  return digest.digest('hex');
});
app.get('/download/:size', async (request, reply) => {
  const size = Number(request.params.size);
  const blocks = function* () {
    for (let left = size; left > 0; left -= 65536) yield Buffer.alloc(Math.min(left, 65536), 'x');
  };
  return reply.type('application/octet-stream').send(Readable.from(blocks()));
});
app.get('/cookies', async (request, reply) => reply.header('set-cookie', ['one=1', 'two=2']).type('text/plain').send(request.headers.cookie || ''));
app.get('/events', async (request, reply) => {
  const stream = new PassThrough();
  stream.write('data: first\n\n');
  const waiting = setInterval(() => {
    if (!fs.existsSync(request.query.until)) return;
    clearInterval(waiting);
    stream.end('data: last\n\n');
  }, 10);
  reply.raw.on('close', () => clearInterval(waiting));
  return reply.type('text/event-stream').send(stream);
});
app.get('/who', async (request) => ({address: request.socket.remoteAddress, ip: request.ip, protocol: request.protocol, host: request.headers.host, url: request.url}));
app.get('/fail', async () => {
  throw new Error('on purpose');
});

await app.listen({port: 3000, host: '127.0.0.1'});
console.log('listening');
