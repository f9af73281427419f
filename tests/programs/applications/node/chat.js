// A chat by Socket.IO, in a page for browsers.
const express = require('express');
const http = require('node:http');
const {Server} = require('socket.io');

const app = express();
const server = http.createServer(app);
const chat = new Server(server);

app.get('/', (request, response) => response.send(`<!doctype html>
<title>Chat</title>
<ul id="messages"></ul>
<p id="transport"></p>
<form><input autocomplete="off"><button>Send</button></form>
<script src="/socket.io/socket.io.js"></script>
<script>
  const socket = io();
  const show = (text) => document.getElementById('messages').appendChild(Object.assign(document.createElement('li'), {textContent: text}));
  const told = () => { document.getElementById('transport').textContent = socket.io.engine.transport.name; };
  socket.on('connect', () => { told(); socket.io.engine.on('upgrade', told); });
  socket.on('message', show);
  document.querySelector('form').addEventListener('submit', (event) => {
    event.preventDefault();
    const input = document.querySelector('input');
    socket.emit('message', input.value, () => show('delivered'));
    input.value = '';
  });
</script>`));

chat.on('connection', (socket) => {
  socket.on('message', (text, done) => {
    socket.broadcast.emit('message', text);
    done();
  });
});
server.listen(process.env.PORT);
