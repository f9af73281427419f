// Nothing here knows of Fivefold: `node server.js` runs it by hand on port 3000.
const http = require('node:http');

let seen = 0; // one process serves many requests, so it may remember

const server = http.createServer((request, response) => {
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.end(`request ${++seen} of process ${process.pid}, from ${request.socket.remoteAddress}, for ${request.url}\n`);
});
server.listen(3000, () => console.log('listening on port', server.address().port));
