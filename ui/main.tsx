import { render } from 'preact';
import { App } from './app.tsx';
import { startHistory } from './data/history.ts';
import { startLive } from './data/live.ts';
import { startTheme } from './theme.ts';
import './style.css';

startTheme();
startLive();
startHistory();
render(<App />, document.getElementById('page')!);
