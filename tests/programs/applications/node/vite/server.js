// What `vite build` made: pages rendered on the server, their scripts as files.
import express from 'express';
import fs from 'node:fs';
import {page} from './dist/server/server.js';

const template = fs.readFileSync(new URL('./dist/client/index.html', import.meta.url), 'utf8');
const app = express();
app.use('/assets', express.static(new URL('./dist/client/assets', import.meta.url).pathname, {immutable: true, maxAge: '1y'}));
app.use((request, response) => response.send(template.replace('<!--app-->', () => page(request.path))));
app.listen(process.env.PORT || 3000);
