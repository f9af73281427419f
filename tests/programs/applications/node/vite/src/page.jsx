import {h} from 'preact';
import {useState} from 'preact/hooks';

export function Page({url}) {
  const [count, setCount] = useState(0);
  return <main><h1>Rendered for {url}</h1><button onClick={() => setCount(count + 1)}>Pressed {count} times</button></main>;
}
