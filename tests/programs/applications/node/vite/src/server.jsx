import {h} from 'preact';
import {render} from 'preact-render-to-string';
import {Page} from './page.jsx';

export const page = (url) => render(<Page url={url} />);
