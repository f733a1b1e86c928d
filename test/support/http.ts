// The HTTP listener over a FakeRegion on loopback, a client that sends exactly what it is told, and a reader of server-sent events.
// Every answer is held to docs/openapi.yaml: a status or a media type that does not stand there fails the test.

import { readFileSync } from 'node:fs';
import { request as send, type Agent, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { HttpLimits } from '../../src/api/http/limits.ts';
import type { PageSources } from '../../src/api/http/page/sources.ts';
import { HttpServer } from '../../src/api/http/server.ts';
import type { ApiLimits } from '../../src/api/limits.ts';
import { packageRoot } from '../../src/config/version.ts';
import { cleanup, serve, type Served } from './api.ts';
import type { FakeRegion } from './fake-region.ts';

export interface OpenApiOperation {
  readonly parameters?: readonly OpenApiParameter[];
  readonly responses: Readonly<Record<string, { readonly $ref?: string; readonly content?: Record<string, unknown> }>>;
}

export interface OpenApiParameter {
  readonly $ref?: string;
  readonly name?: string;
  readonly in?: string;
}

export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, OpenApiOperation>>>>;
  readonly components: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export const OPENAPI = parse(readFileSync(join(packageRoot(), 'docs/openapi.yaml'), 'utf8')) as OpenApi;

/** What a $ref stands for, or the thing itself. */
export function resolved<T extends { readonly $ref?: string }>(thing: T): T {
  if (thing.$ref === undefined) return thing;
  let at: unknown = OPENAPI;
  for (const step of thing.$ref.split('/').slice(1)) at = (at as Record<string, unknown>)[step];
  if (at === undefined) throw new Error(`${thing.$ref} does not stand in docs/openapi.yaml`);
  return at as T;
}

export interface HttpServed extends Served {
  readonly http: HttpServer;
  readonly httpPort: number;
}

export async function serveHttp(
  options: {
    name?: string;
    region?: FakeRegion;
    limits?: Partial<ApiLimits>;
    http?: Partial<HttpLimits>;
    cacheSeconds?: number;
    page?: PageSources;
  } = {},
): Promise<HttpServed> {
  const served = await serve(options);
  const http = new HttpServer({
    env: served.server.env,
    listen: '127.0.0.1:0',
    limits: options.http ?? {},
    cacheSeconds: options.cacheSeconds ?? 0,
    page: options.page,
  });
  cleanup(() => http.stop());
  const { port } = await http.start();
  return { ...served, http, httpPort: port };
}

export interface Asked {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly agent?: Agent;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  /** Throws when it is none. */
  json<T = Record<string, unknown>>(): T;
  /** Of an error, its code. */
  readonly code: string | undefined;
}

/** `path` goes out as it is. */
export function ask(port: number, method: string, path: string, asked: Asked = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { headers = {}, body, agent = false } = asked;
    const length = body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) };
    const request = send({
      port,
      host: '127.0.0.1',
      method,
      path,
      headers: { ...length, ...headers },
      agent,
      maxHeaderSize: 128 * 1024,
    });
    request.on('error', reject);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const answer = answerOf(response, Buffer.concat(chunks));
        try {
          checkDocumented(method, path, answer);
          resolve(answer);
        } catch (error) {
          reject(error as Error);
        }
      });
    });
    request.end(body);
  });
}

function answerOf({ statusCode = 0, headers }: IncomingMessage, body: Buffer): Answer {
  const text = body.toString();
  let code: string | undefined;
  if (statusCode >= 400 && text.includes('"details"')) {
    code = (JSON.parse(text) as { details: [{ debug: { code: string } }] }).details[0].debug.code;
  }
  return { status: statusCode, headers, body, text, code, json: <T>() => JSON.parse(text) as T };
}

/** Those that any request may get before there is an operation: no HTTP, no such route or method, another host, too long, too late. */
const ANY_REQUEST = [400, 404, 405, 408, 421, 431];

function checkDocumented(method: string, path: string, { status, headers }: Answer): void {
  const operation = OPENAPI.paths[documentedPath(path)]?.[(method === 'HEAD' ? 'get' : method).toLowerCase()];
  if (operation === undefined) {
    if (ANY_REQUEST.includes(status) || method === 'OPTIONS') return;
    throw new Error(`${method} ${path} answered ${status} and does not stand in docs/openapi.yaml`);
  }
  const response = operation.responses[String(status)];
  if (response === undefined) {
    if (ANY_REQUEST.includes(status)) return;
    throw new Error(`${method} ${path} answered ${status}, which does not stand in docs/openapi.yaml`);
  }
  const type = headers['content-type'];
  if (type !== undefined && resolved(response).content?.[type] === undefined) {
    throw new Error(`${method} ${path} answered ${status} as ${type}, which does not stand in docs/openapi.yaml`);
  }
}

function documentedPath(path: string): string {
  const [bare = ''] = path.replace(/^http:\/\/[^/]*/, '').split('?');
  if (bare.startsWith('/ui/assets/')) return '/ui/assets/{file}';
  if (!bare.startsWith('/v1/')) return bare;
  const depth = bare.split('/').length - 2;
  return ['/v1/{namespace}', '/v1/{namespace}/{collection}', '/v1/{namespace}/{collection}/{key}'][
    Math.min(depth, 3) - 1
  ]!;
}

export interface SseEvent {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: string;
}

/** An open watch. It keeps the last id as a browser would. */
export class Watching {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly response: IncomingMessage;
  readonly events: SseEvent[] = [];
  comments = 0;
  lastId: string | undefined;
  ended = false;
  #rest = '';
  readonly #wake = new Set<() => void>();

  constructor(response: IncomingMessage) {
    this.response = response;
    this.status = response.statusCode ?? 0;
    this.headers = response.headers;
    response.setEncoding('utf8');
    response.on('data', (text: string) => this.#read(text));
    const end = (): void => {
      this.ended = true;
      this.#notify();
    };
    response.on('end', end);
    response.on('close', end);
    response.on('error', end);
  }

  /** Only those of a name. */
  of(event: string): SseEvent[] {
    return this.events.filter((one) => one.event === event);
  }

  changes<
    T = { key: string; version: string; collection: string; op: { kind: string }; entry: Record<string, unknown> },
  >(): T[] {
    return this.of('change').map(({ data }) => JSON.parse(data) as T);
  }

  /** Until a condition holds, never for a time; fails when the stream ends before. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.ended) throw new Error(`the stream ended after ${JSON.stringify(this.events.slice(-3))}`);
      await new Promise<void>((resolve) => this.#wake.add(resolve));
    }
  }

  async end(): Promise<void> {
    while (!this.ended) await new Promise<void>((resolve) => this.#wake.add(resolve));
  }

  close(): void {
    this.response.destroy();
  }

  #read(text: string): void {
    this.#rest += text;
    for (let end = this.#rest.indexOf('\n\n'); end !== -1; end = this.#rest.indexOf('\n\n')) {
      this.#block(this.#rest.slice(0, end));
      this.#rest = this.#rest.slice(end + 2);
    }
    this.#notify();
  }

  #block(block: string): void {
    let event = 'message';
    const data: string[] = [];
    let id: string | undefined;
    for (const line of block.split('\n')) {
      if (line.startsWith(':')) this.comments++;
      else if (line.startsWith('event: ')) event = line.slice(7);
      else if (line.startsWith('data: ')) data.push(line.slice(6));
      else if (line.startsWith('id: ')) id = line.slice(4);
      else if (!line.startsWith('retry: ')) throw new Error(`no line of server-sent events: ${line}`);
    }
    if (id !== undefined) this.lastId = id;
    if (data.length > 0) this.events.push({ event, id, data: data.join('\n') });
  }

  #notify(): void {
    const waiting = [...this.#wake];
    this.#wake.clear();
    for (const wake of waiting) wake();
  }
}

/** Resolves when it has begun. */
export function follow(port: number, path: string, headers: Readonly<Record<string, string>> = {}): Promise<Watching> {
  return new Promise((resolve, reject) => {
    const request = send({
      port,
      host: '127.0.0.1',
      path,
      headers: { Accept: 'text/event-stream', ...headers },
      agent: false,
    });
    cleanup(() => request.destroy());
    request.on('error', reject);
    request.on('response', (response) => {
      response.off('error', reject);
      resolve(new Watching(response));
    });
    request.end();
  });
}
