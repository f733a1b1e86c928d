// What orchestrators and load balancers ask, and the description of the whole interface.
// Alive: this process turns its event loop. Ready: requests are served here, as in grpc.health.v1. A peer that is lost changes nothing about that, nor
// does a full disk or a clock that is off: reads go on.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { packageRoot } from '../../config/version.ts';
import { authorize } from '../env.ts';
import type { Exchange } from './exchange.ts';
import type { Parameters } from './parameters.ts';

interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** Whether the node is not ready without it. */
  readonly required: boolean;
  readonly message: string;
}

export function livez(exchange: Exchange): void {
  exchange.json(200, '{"status":"ok"}');
}

export function readyz(exchange: Exchange, parameters: Parameters): void {
  const { region, load } = exchange.env;
  const ready = region.ready() && !load.draining;
  const verbose = parameters.flag('verbose');
  if (verbose) authorize(exchange.env, exchange, 'topology', undefined);
  const status = region.status();
  const state = load.draining ? 'draining' : status.state;
  const body = {
    ready,
    region: region.id,
    state,
    reason: load.draining ? 'the node is shutting down' : status.stateReason,
  };
  const details = verbose
    ? { node: status.node, version: status.version, checks: checks(exchange), alarms: status.alarms }
    : {};
  exchange.json(ready ? 200 : 503, JSON.stringify({ ...body, ...details }));
}

function checks({ env: { region, load } }: Exchange): Check[] {
  const { state, stateReason, log, peers } = region.status();
  const takesWrites = state === 'ready';
  return [
    { name: 'serving', ok: !load.draining, required: true, message: load.draining ? 'the node is shutting down' : '' },
    { name: 'reads', ok: region.ready(), required: true, message: region.ready() ? '' : stateReason },
    { name: 'writes', ok: takesWrites, required: false, message: takesWrites ? '' : stateReason },
    {
      name: 'log',
      ok: log.state.kind === 'ready',
      required: false,
      message: log.state.kind === 'ready' ? log.detail : log.state.reason,
    },
    ...peers.map(({ region: name, link, lagMs }) => ({
      name: `peer ${name}`,
      ok: link.kind === 'up',
      required: false,
      message: `${link.kind}, lag ${lagMs === undefined ? 'unknown' : `${Math.round(lagMs)} ms`}`,
    })),
  ];
}

let openapi: string | undefined;

/** docs/openapi.yaml is the only copy; a test holds it and the routes together. */
export function serveOpenApi(exchange: Exchange): void {
  openapi ??= JSON.stringify(parse(readFileSync(join(packageRoot(), 'docs/openapi.yaml'), 'utf8')));
  exchange.json(200, openapi, { 'Cache-Control': 'max-age=300' });
}
