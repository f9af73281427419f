// Node's own HTTP/2 server, in clear text on the Unix socket it is given. What it does, its paths say.
const http2 = require('node:http2');
const server = http2.createServer();
server.on('stream', (stream, headers) => {
  const url = new URL(headers[':path'], 'http://x');
  stream.on('error', () => {});
  switch (url.pathname) {
    case '/echo':
      stream.respond({':status': 200, 'x-content-length': headers['content-length'] ?? ''});
      stream.pipe(stream);
      break;
    case '/events': {
      stream.respond({'content-type': 'text/event-stream'});
      let number = 0;
      const timer = setInterval(() => {
        stream.write(`data: ${number++}\n\n`);
        if (number === 3) { clearInterval(timer); stream.end(); }
      }, 100);
      break;
    }
    case '/reset':
      stream.respond({':status': 200});
      stream.write('the beginning\n', () => setTimeout(() => stream.destroy(new Error('enough')), 50));
      break;
    case '/goodbye':
      stream.respond({':status': 200});
      stream.end('goodbye\n');
      stream.session.close();
      break;
    case '/hints':
      stream.additionalHeaders({':status': 103, link: '</style.css>; rel=preload'});
      stream.respond({':status': 200});
      stream.end('hinted\n');
      break;
    case '/crash':
      process.exit(1);
      break;
    default:
      stream.respond({':status': 200});
      stream.end('hello\n');
  }
});
server.listen(process.argv[2]);
