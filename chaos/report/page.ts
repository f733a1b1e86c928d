import type { Recording } from '../history/recording.ts';
import type { Summary } from './summary.ts';
export function pageOf(_recording: Recording, summary: Summary): string {
  return `<pre>${JSON.stringify(summary, undefined, 2)}</pre>`;
}
