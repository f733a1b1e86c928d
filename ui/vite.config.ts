// ui/ → dist/ui, which every node serves under /ui/ (src/api/http/page/assets.ts). Nothing is loaded from elsewhere, and nothing stands inline: the
// page's Content-Security-Policy would refuse it.

import { defineConfig } from 'vite';

export default defineConfig({
  root: import.meta.dirname,
  base: '/ui/',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: '../dist/ui',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});
