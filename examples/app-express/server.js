const express = require('express');

const app = express();
app.set('trust proxy', 1); // request.ip and request.protocol as the client has them

app.get('/', (request, response) => {
  response.send(`<!doctype html><title>Express</title><p>Hello ${request.ip}, over ${request.protocol}.</p>
<form method="post" action="/greet"><input name="name"><button>Greet</button></form>`);
});
app.post('/greet', express.urlencoded({ extended: false }), (request, response) => {
  response.type('text').send(`Hello ${request.body.name}!`);
});
app.listen(process.env.PORT || 3000);
