// The version in package.json, which is the only place that names it.

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

let known: string | undefined;

export function version(): string {
  known ??= (JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as { version: string }).version;
  return known;
}

/** The package's directory: sources and compiled files lie at different depths below it. */
export function packageRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    try {
      const manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as { name?: string };
      if (manifest.name === 'causeway') return directory;
    } catch {
      // No manifest here, or not ours: look further up.
    }
    const above = dirname(directory);
    if (above === directory) throw new Error('the package.json of causeway is not above this file');
    directory = above;
  }
}
