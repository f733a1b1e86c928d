// Light or dark: as the system has it, or as the reader has chosen.

import { signal } from '@preact/signals';

const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

const KEPT_AS = 'causeway-theme';

export const theme = signal<Theme>('system');
/** Counts up when colours change, for what is drawn rather than styled. */
export const coloursChanged = signal(0);

export function startTheme(): void {
  theme.value = THEMES.find((each) => each === kept()) ?? 'system';
  theme.subscribe((chosen) => {
    if (chosen === 'system') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = chosen;
    keep(chosen);
    coloursChanged.value = coloursChanged.peek() + 1;
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => coloursChanged.value++);
}

export function nextTheme(): void {
  theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length]!;
}

/** A browser may refuse to keep anything. */
function kept(): string | null {
  try {
    return localStorage.getItem(KEPT_AS);
  } catch {
    return null;
  }
}

function keep(chosen: Theme): void {
  try {
    localStorage.setItem(KEPT_AS, chosen);
  } catch {
    // It is then the system's again at the next visit.
  }
}

/** A custom property as a canvas takes it. */
export function colour(name: string, within: Element): string {
  const probe = document.createElement('span');
  probe.style.color = `var(${name})`;
  within.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
