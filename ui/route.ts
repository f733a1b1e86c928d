// Which panel is shown: the part of the address behind #, so that it can be linked to and gone back from. Nothing of it reaches the node.

import { computed, signal } from '@preact/signals';

const hash = signal(location.hash);
addEventListener('hashchange', () => (hash.value = location.hash));

/** `#/keys?key=ORD` → panel `keys`, with its query. */
export const route = computed(() => {
  const [path = '', query = ''] = hash.value.replace(/^#\/?/, '').split('?');
  return { panel: path === '' ? 'overview' : path, query: new URLSearchParams(query) };
});

export function linkTo(panel: string, query: Readonly<Record<string, string>> = {}): string {
  const text = new URLSearchParams(query).toString();
  return `#/${panel}${text === '' ? '' : `?${text}`}`;
}
