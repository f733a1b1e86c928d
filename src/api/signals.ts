// The golden signals of every RPC and route: how many, how they ended, how long they took, how many are under way.
// Plain numbers, found once when a service is made: a call costs two looks at the clock and a search in a histogram.

import type { ErrorCode } from '../errors/errors.ts';
import type { MetricSink } from '../metrics/sink.ts';
import { CALL_SECONDS, Histogram } from '../metrics/histogram.ts';

/** Of one RPC. */
export class CallSignals {
  inFlight = 0;
  ok = 0;
  readonly errors = new Map<ErrorCode, number>();
  readonly seconds = new Histogram(CALL_SECONDS);

  began(): void {
    this.inFlight++;
  }

  /** `code` undefined: OK. `tookMs` undefined: of a stream, whose length says nothing. */
  ended(code: ErrorCode | undefined, tookMs: number | undefined): void {
    this.inFlight--;
    if (code === undefined) this.ok++;
    else this.errors.set(code, (this.errors.get(code) ?? 0) + 1);
    if (tookMs !== undefined) this.seconds.add(tookMs / 1000);
  }
}

/** Of one route of HTTP. */
class RouteSignals {
  /** By method and status, which are few. */
  readonly answers = new Map<string, { readonly method: string; readonly status: number; count: number }>();
  readonly seconds = new Histogram(CALL_SECONDS);
}

export class Signals {
  readonly #rpcs = new Map<string, CallSignals>();
  readonly #routes = new Map<string, RouteSignals>();
  readonly #refusedOps = new Map<ErrorCode, number>();
  #httpInFlight = 0;

  rpc(name: string): CallSignals {
    let signals = this.#rpcs.get(name);
    if (signals === undefined) {
      signals = new CallSignals();
      this.#rpcs.set(name, signals);
    }
    return signals;
  }

  /** There are these, whether anybody has called them or not: a rate begins at 0. */
  expect(rpcs: readonly string[]): void {
    for (const name of rpcs) this.rpc(name);
  }

  refusedOp(code: ErrorCode): void {
    this.#refusedOps.set(code, (this.#refusedOps.get(code) ?? 0) + 1);
  }

  httpBegan(): void {
    this.#httpInFlight++;
  }

  /** `route`: its pattern, never its path, which has keys in it. */
  httpEnded(route: string, method: string, status: number, tookMs: number | undefined): void {
    this.#httpInFlight--;
    let signals = this.#routes.get(route);
    if (signals === undefined) {
      signals = new RouteSignals();
      this.#routes.set(route, signals);
    }
    const key = `${method} ${status}`;
    const answers = signals.answers.get(key);
    if (answers === undefined) signals.answers.set(key, { method, status, count: 1 });
    else answers.count++;
    if (tookMs !== undefined) signals.seconds.add(tookMs / 1000);
  }

  export(into: MetricSink): void {
    for (const [rpc, { inFlight, ok, errors, seconds }] of this.#rpcs) {
      into.value('causeway_rpc_requests_total', ok, { rpc, code: 'OK' });
      for (const [code, count] of errors) into.value('causeway_rpc_requests_total', count, { rpc, code });
      if (!STREAMS.has(rpc)) into.histogram('causeway_rpc_duration_seconds', seconds, { rpc });
      into.value('causeway_rpc_in_flight', inFlight, { rpc });
    }
    for (const [route, { answers, seconds }] of this.#routes) {
      for (const { method, status, count } of answers.values()) {
        into.value('causeway_http_requests_total', count, { route, method, status: String(status) });
      }
      into.histogram('causeway_http_request_duration_seconds', seconds, { route });
    }
    into.value('causeway_http_in_flight', this.#httpInFlight);
    for (const [code, count] of this.#refusedOps) into.value('causeway_ops_refused_total', count, { code });
  }
}

/** They last as long as whoever opened them likes. */
const STREAMS: ReadonlySet<string> = new Set(['Subscribe', 'WatchConflicts']);

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS', 'PATCH']);

/** Whoever sends a request makes its method up: as a label only those that there are. */
export function methodLabel(method: string | undefined): string {
  return method !== undefined && METHODS.has(method) ? method : 'other';
}
