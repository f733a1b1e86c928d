// How something is, as a shape and a colour and, for who sees neither, a word.

import type { JSX } from 'preact';
import { HEALTH_WORDS, type Health } from '../health.ts';

const SHAPES: Readonly<Record<Health, JSX.Element>> = {
  good: <circle cx="6" cy="6" r="4.5" />,
  slow: <path d="M6 1.2 11 10.5H1z" />,
  bad: <rect x="1.8" y="1.8" width="8.4" height="8.4" />,
  down: <path d="M2.2 2.2 9.8 9.8M9.8 2.2 2.2 9.8" class="stroke" />,
  unknown: <circle cx="6" cy="6" r="3.8" class="stroke" />,
};

export function HealthMark({ health, label }: { health: Health; label?: string }): JSX.Element {
  return (
    <svg
      viewBox="0 0 12 12"
      width="12"
      height="12"
      class={`health ${health}`}
      role="img"
      aria-label={label ?? HEALTH_WORDS[health]}
    >
      {SHAPES[health]}
    </svg>
  );
}
