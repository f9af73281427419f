import {h, hydrate} from 'preact';
import {Page} from './page.jsx';

hydrate(<Page url={location.pathname} />, document.getElementById('app'));
