// The page itself: files of dist/ui, which the build makes of ui/. They hold no data and are the same for everybody.
//
// The page may load from, and talk to, its own node and nothing else; it runs no script that is not one of these files, and nobody may frame it.

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { packageRoot } from '../../../config/version.ts';
import { CausewayError } from '../../../errors/errors.ts';
import { HttpError } from '../errors.ts';
import type { Exchange, Headers } from '../exchange.ts';

const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const SECURITY_HEADERS: Headers = {
  'Content-Security-Policy': CONTENT_SECURITY_POLICY,
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'X-Frame-Options': 'DENY',
};

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

const INDEX = 'index.html';
const COMPRESSED_BYTES_MIN = 1024;

interface Asset {
  readonly type: string;
  readonly tag: string;
  readonly body: Buffer;
  readonly gzipped: Buffer | undefined;
}

let assets: ReadonlyMap<string, Asset> | undefined;

/** All of them, by name, read once: some hundred kilobytes. */
function all(): ReadonlyMap<string, Asset> {
  if (assets !== undefined && assets.size > 0) return assets;
  const directory = join(packageRoot(), 'dist/ui');
  const found = new Map<string, Asset>();
  for (const name of filesIn(directory)) {
    const type = TYPES[extname(name)];
    if (type === undefined) continue;
    const body = readFileSync(join(directory, name));
    const tag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
    found.set(name, { type, tag, body, gzipped: body.length < COMPRESSED_BYTES_MIN ? undefined : gzipSync(body) });
  }
  return (assets = found);
}

function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1));
  } catch {
    return [];
  }
}

export function redirectToPage(exchange: Exchange): void {
  exchange.answer(302, undefined, { Location: '/ui/' });
}

/** Throws HttpError 404. */
export function servePage(exchange: Exchange): void {
  serve(exchange, INDEX, 'no-cache');
}

/** `file` as it stands in the path; names have a hash of their content in them. Throws HttpError 404. */
export function serveAsset(exchange: Exchange, file: string): void {
  serve(exchange, `assets/${file}`, 'max-age=31536000, immutable');
}

function serve(exchange: Exchange, name: string, cacheControl: string): void {
  const asset = all().get(name);
  if (asset === undefined) {
    const missing = name === INDEX ? 'the page has not been built' : `the page has no file ${name.slice(0, 80)}`;
    throw new HttpError(
      404,
      new CausewayError('INVALID_ARGUMENT', missing, { hint: 'npm run build makes it; reload a page that is open' }),
    );
  }
  const headers = { ...SECURITY_HEADERS, 'Cache-Control': cacheControl, ETag: asset.tag, Vary: 'Accept-Encoding' };
  if (exchange.header('If-None-Match') === asset.tag) {
    exchange.answer(304, undefined, headers);
    return;
  }
  const gzip = asset.gzipped !== undefined && /\bgzip\b/.test(exchange.header('Accept-Encoding') ?? '');
  exchange.answer(200, gzip ? asset.gzipped : asset.body, {
    ...headers,
    'Content-Type': asset.type,
    ...(gzip ? { 'Content-Encoding': 'gzip' } : {}),
  });
}
