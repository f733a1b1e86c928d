// What happens between regions: on loopback, through the proxies of chaos/cluster/wires.ts.

import type { Stage } from '../cluster/stage.ts';
import type { Cut, Quality } from '../cluster/tcp-proxy.ts';
import { always, waysOf, type Fault } from './fault.ts';

const WORDS: Readonly<Record<Cut, string>> = { blackhole: 'nothing arrives', reset: 'connections break' };

/** A region from all others. */
export function isolate(stage: Stage, region: string, how: Cut): Fault {
  return {
    name: 'isolate',
    says: `${region} is cut off from all others (${WORDS[how]})`,
    hinders: waysOf(stage, region),
    stops: [],
    available: always,
    inject: () => {
      stage.wires.isolate(region, how);
      return Promise.resolve(() => {
        for (const other of stage.others(region)) stage.wires.healBetween(region, other);
        return Promise.resolve();
      });
    },
  };
}

/** Every region from every other: each is alone. */
export function shatter(stage: Stage, how: Cut): Fault {
  return {
    name: 'shatter',
    says: `all regions are cut off from each other (${WORDS[how]})`,
    hinders: stage.names.flatMap((region) => waysOf(stage, region)),
    stops: [],
    available: always,
    inject: () => {
      for (const region of stage.names) stage.wires.isolate(region, how);
      return Promise.resolve(() => {
        stage.wires.heal();
        return Promise.resolve();
      });
    },
  };
}

/** Two regions, which still have the third between them. */
export function part(stage: Stage, a: string, b: string, how: Cut): Fault {
  return {
    name: 'part',
    says: `${a} and ${b} are cut off from each other (${WORDS[how]})`,
    hinders: [`${a} ${b}`, `${b} ${a}`],
    stops: [],
    available: always,
    inject: () => {
      stage.wires.cut(a, b, how);
      return Promise.resolve(() => {
        stage.wires.healBetween(a, b);
        return Promise.resolve();
      });
    },
  };
}

/** What one region says does not arrive at another; what that one says does. */
export function oneWay(stage: Stage, from: string, to: string): Fault {
  return {
    name: 'one-way',
    says: `what ${from} says does not reach ${to}`,
    // Acknowledgements and credit go the other way, so neither direction is promised anything.
    hinders: [`${from} ${to}`, `${to} ${from}`],
    stops: [],
    available: always,
    inject: () => {
      stage.wires.silence(from, to);
      return Promise.resolve(() => {
        stage.wires.healBetween(from, to);
        return Promise.resolve();
      });
    },
  };
}

/** The other end of every connection is gone, and who dialled is not told. */
export function halfOpen(stage: Stage, a: string, b: string): Fault {
  return {
    name: 'half-open',
    says: `connections between ${a} and ${b} are half open`,
    hinders: [`${a} ${b}`, `${b} ${a}`],
    stops: [],
    available: always,
    inject: () => {
      stage.wires.halfOpen(a, b);
      return Promise.resolve(() => {
        stage.wires.healBetween(a, b);
        return Promise.resolve();
      });
    },
  };
}

/** Connections of a pair break once; new ones are taken at once, so there is nothing to heal. */
export function breakOnce(stage: Stage, a: string, b: string): Fault {
  return {
    name: 'break',
    says: `connections between ${a} and ${b} break once`,
    hinders: [`${a} ${b}`, `${b} ${a}`],
    stops: [],
    available: always,
    inject: () => {
      stage.wires.breakBetween(a, b);
      return Promise.resolve(() => Promise.resolve());
    },
  };
}

/** A worse wire, both ways, between all regions; lag follows the wire. */
export function degradeAll(stage: Stage, change: Partial<Quality>, says: string): Fault {
  return {
    name: 'degrade',
    says,
    hinders: [],
    stops: [],
    available: always,
    inject: () => {
      for (const from of stage.names) for (const to of stage.others(from)) stage.wires.degrade(from, to, change);
      return Promise.resolve(() => {
        stage.wires.heal();
        return Promise.resolve();
      });
    },
  };
}

/** The region reads what others send it slowly, with hardly any buffer before it, so that senders feel it at once. */
export function slowReader(stage: Stage, region: string, bytesPerSecond: number): Fault {
  return {
    name: 'slow-read',
    says: `${region} takes ${bytesPerSecond / 1024} KiB/s from each peer`,
    hinders: stage.others(region).map((other) => `${other} ${region}`),
    stops: [],
    available: always,
    inject: () => {
      const change = { bytesPerSecond, bufferBytesMax: 16 * 1024 };
      for (const other of stage.others(region)) stage.wires.degrade(other, region, change);
      return Promise.resolve(() => {
        for (const other of stage.others(region)) stage.wires.healBetween(region, other);
        return Promise.resolve();
      });
    },
  };
}
