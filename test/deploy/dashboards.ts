// The dashboards as they lie in deploy/grafana: their panels and their queries.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/config/version.ts';

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly refId: string; readonly expr: string; readonly legendFormat: string }[];
}

export interface Dashboard {
  readonly file: string;
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string }[] };
}

const DIRECTORY = join(packageRoot(), 'deploy/grafana');

export function dashboards(): Dashboard[] {
  return readdirSync(DIRECTORY)
    .filter((file) => file.endsWith('.json'))
    .map((file) => ({ file, ...(JSON.parse(readFileSync(join(DIRECTORY, file), 'utf8')) as Omit<Dashboard, 'file'>) }));
}

/** With Grafana's variables filled in, so that Prometheus can read them. */
export function dashboardQueries(): { readonly where: string; readonly query: string }[] {
  return dashboards().flatMap(({ file, panels }) =>
    panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => ({
        where: `${file}, ${title}`,
        query: expr.replaceAll('$__rate_interval', '5m').replaceAll('$region', '.*'),
      })),
    ),
  );
}
