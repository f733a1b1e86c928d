// Every scenario, in the order in which `--scenario all` plays them.

import { conflictScenarios } from './conflicts.ts';
import { forgedScenarios } from './forged.ts';
import { linkScenarios } from './links.ts';
import { logScenarios } from './logs.ts';
import { poisonScenarios } from './poison.ts';
import type { Scenario } from './scenario.ts';
import { sessionScenarios } from './sessions.ts';
import { sessionWriteScenarios } from './session-writes.ts';

export const scenarios: readonly Scenario[] = [
  ...conflictScenarios,
  ...linkScenarios,
  ...logScenarios,
  ...forgedScenarios,
  ...poisonScenarios,
  ...sessionScenarios,
  ...sessionWriteScenarios,
];
