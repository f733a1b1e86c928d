// Every scenario, in the order in which `--scenario all` plays them.

import type { Scenario } from './scenario.ts';

export const scenarios: readonly Scenario[] = [];
