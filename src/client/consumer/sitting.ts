// A consumer's stay at one endpoint: everything that a member does in one region, until it has to go elsewhere.
// Owns: the calls that are bound to that endpoint, what the group has stored there, and the signal that ends the stay.

import { CausewayError, isCausewayError } from '../../errors/errors.ts';
import type { System } from '../../system/system.ts';
import { Calls, type CallDefaults } from '../calls.ts';
import type { Endpoint } from '../endpoint.ts';
import { PinnedEndpoint, type Endpoints } from '../endpoints.ts';
import { Session } from '../session.ts';
import type { SubscriptionParts } from '../subscribe.ts';
import type { CallOptions } from '../types.ts';
import { GroupState } from './group-state.ts';

export interface SittingParts {
  readonly endpoints: Endpoints;
  readonly system: System;
  readonly defaults: CallDefaults;
}

export interface SittingOptions {
  readonly group: string;
  readonly member: string;
  readonly groups: { readonly namespace: string; readonly collection: string };
  readonly leaseMs: number;
}

export class Sitting {
  readonly endpoint: Endpoint;
  readonly region: string;
  /** Of the namespace, all of them. */
  readonly shards: readonly string[];
  readonly state: GroupState;
  /** Reads of the namespace whose changes the group follows. */
  readonly calls: Calls;
  readonly parts: SubscriptionParts;
  readonly callOptions: CallOptions & { readonly signal: AbortSignal; readonly deadlineMs: number };

  private constructor(
    endpoint: Endpoint,
    region: string,
    shards: readonly string[],
    state: GroupState,
    calls: Calls,
    parts: SubscriptionParts,
    callOptions: Sitting['callOptions'],
  ) {
    this.endpoint = endpoint;
    this.region = region;
    this.shards = shards;
    this.state = state;
    this.calls = calls;
    this.parts = parts;
    this.callOptions = callOptions;
  }

  /** Throws CausewayError: UNKNOWN_COLLECTION or WRONG_OPERATION when the region cannot keep groups, and what calls fail with. */
  static async begin(
    { endpoints, system, defaults }: SittingParts,
    endpoint: Endpoint,
    { group, member, groups, leaseMs }: SittingOptions,
    signal: AbortSignal,
  ): Promise<Sitting> {
    const pin = new PinnedEndpoint(endpoints, endpoint);
    // A lease that is renewed by the third try has not ended.
    const callOptions = { signal, deadlineMs: Math.min(defaults.deadlineMs, Math.ceil(leaseMs / 3)) };
    const callsOf = (namespace: string): Calls =>
      new Calls(pin, system, new Session(), { ...defaults, namespace, consistency: 'local', tracer: undefined });
    const calls = callsOf(defaults.namespace);
    const { region, namespaces } = await calls.topology(callOptions);
    const followed = namespaces.find(({ name }) => name === defaults.namespace);
    if (followed === undefined) {
      throw new CausewayError('UNKNOWN_COLLECTION', `region ${region} has no namespace '${defaults.namespace}'`);
    }
    const groupCalls = groups.namespace === defaults.namespace ? calls : callsOf(groups.namespace);
    await checkGroupsCollection(groupCalls, groups, callOptions);
    const scope = { namespace: defaults.namespace, group, collection: groups.collection, region, member };
    return new Sitting(
      endpoint,
      region,
      Array.from({ length: followed.shards }, (_, index) => `${followed.placementId}/${index}`),
      new GroupState(groupCalls, scope, callOptions),
      calls,
      { endpoints: pin, system, namespace: defaults.namespace },
      callOptions,
    );
  }
}

/** Throws CausewayError when the collection is not there, or is of another merge type. */
export async function checkGroupsCollection(
  calls: Calls,
  { namespace, collection }: { readonly namespace: string; readonly collection: string },
  options: CallOptions,
): Promise<void> {
  const topology = await calls.topology(options).catch((error: unknown) => {
    // In its words it would be the followed namespace that is missing.
    if (isCausewayError(error) && error.code === 'UNKNOWN_COLLECTION') return undefined;
    throw error;
  });
  const found = topology?.namespaces
    .find(({ name }) => name === namespace)
    ?.collections.find(({ name }) => name === collection);
  if (found === undefined) {
    throw new CausewayError(
      'UNKNOWN_COLLECTION',
      `consumer groups keep their cursors in collection '${collection}' of namespace '${namespace}', which ${topology?.region ?? 'the region'} does not have`,
      {
        hint: `causeway collection create ${namespace}/${collection} --type register-lww makes it, in every region; or name another with the option groups`,
      },
    );
  }
  if (found.type !== 'register-lww') {
    throw new CausewayError(
      'WRONG_OPERATION',
      `consumer groups keep their cursors in a register-lww collection; '${collection}' of '${namespace}' is ${found.type}`,
      { hint: 'name another collection with the option groups' },
    );
  }
}
