// A command to type, and a button that copies it.

import { useState } from 'preact/hooks';
import type { JSX } from 'preact';

export function Command({ text }: { text: string }): JSX.Element {
  const [said, say] = useState('');
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      say('copied');
    } catch {
      // Browsers give the clipboard to HTTPS and localhost only.
      say('mark it to copy');
    }
  };
  return (
    <span class="command">
      <code>{text}</code>
      <button type="button" onClick={() => void copy()}>
        Copy<span class="hidden"> the command</span>
      </button>
      <span role="status" class="dim">
        {said}
      </span>
    </span>
  );
}
