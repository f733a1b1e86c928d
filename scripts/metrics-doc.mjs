// node scripts/metrics-doc.mjs: writes the list of docs/METRICS.md anew, from what was compiled (`npm run build`).

import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const path = join(root, 'docs/METRICS.md');
const { metricsMarkdown } = await import(pathToFileURL(join(root, 'dist/src/metrics/catalog.js')).href);
const text = readFileSync(path, 'utf8').replace(
  /(<!-- metrics -->)[\s\S]*(<!-- \/metrics -->)/,
  (_, begin, end) => `${begin}\n\n${metricsMarkdown()}\n\n${end}`,
);
writeFileSync(path, text);
