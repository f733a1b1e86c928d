// How something is, as a shape and a colour and, for who sees neither, a word.

import type { JSX } from 'preact';
import { HEALTH_WORDS, type Health } from '../health.ts';

const SHAPES: Readonly<Record<Health, JSX.Element>> = {
  good: <circle cx="6" cy="6" r="4.500" />,
  slow: <path d="M6 1.200 11 10.500H1z" />,
  bad: <rect x="1.800" y="1.800" width="8.400" height="8.400" />,
  down: <path d="M2.200 2.200 9.800 9.800M9.800 2.200 2.200 9.800" class="stroke" />,
  unknown: <circle cx="6" cy="6" r="3.800" class="stroke" />,
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
