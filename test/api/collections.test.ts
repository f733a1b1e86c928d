// Collections over real loopback gRPC: what there is, page by page, and what a change of one asks of the region.

import { describe, expect, test } from 'vitest';
import { CausewayError } from '../../src/errors/errors.ts';
import { adminClient, type AdminClient } from '../../src/client/index.ts';
import { runTimeId } from '../../src/record/op.ts';
import { client, cleanup, encode, failure, raw, serve, unary, type Served } from '../support/api.ts';

async function served(): Promise<Served & { admin: AdminClient }> {
  const all = await serve();
  const admin = adminClient(all.address);
  cleanup(() => admin.close());
  return { ...all, admin };
}

describe('what there is', () => {
  test('comes page by page, by name', async () => {
    const { admin } = await served();
    const first = await admin.listCollections({ pageSize: 3 });
    expect(first).toMatchObject({
      region: 'us-west',
      collections: [{ name: 'delays' }, { name: 'drafts' }, { name: 'flights' }],
    });
    const second = await admin.listCollections({ pageSize: 3, pageToken: first.nextPageToken });
    expect(second.collections.map(({ name }) => name)).toEqual(['profiles', 'routes']);
    expect(second.nextPageToken).toBeUndefined();
    const { collections } = await admin.listCollections({ namespace: 'app', name: 'routes' });
    expect(collections).toEqual([
      {
        namespace: 'app',
        name: 'routes',
        id: 1,
        type: 'set-aw',
        state: 'served',
        source: 'config',
        description: '',
        defaultExpiryMs: undefined,
        created: undefined,
        createdBy: [],
        dropped: undefined,
        settled: true,
      },
    ]);
    const mistake = await failure(admin.listCollections({ pageToken: 'abc' }), 'INVALID_ARGUMENT');
    expect(mistake.message).toBe('this is no page token of ListCollections');
  });

  test('the system namespace is in a topology that asks for it', async () => {
    const { address } = await served();
    const { namespaces } = await client([address], { namespace: 'app' }).topology();
    expect(namespaces.map(({ name }) => name)).not.toContain('_system');
  });
});

describe('changes', () => {
  test('ask what was asked, no more: what is not named is not there', async () => {
    const { admin, region } = await served();
    const created = await admin.createCollection(
      { namespace: 'app', name: 'carts', type: 'set-aw', description: '' },
      { wait: true },
      { deadlineMs: 1000 },
    );
    expect(created).toMatchObject({
      changed: true,
      region: 'us-west',
      collection: {
        name: 'carts',
        id: runTimeId(1, 'set-aw'),
        type: 'set-aw',
        source: 'run-time',
        createdBy: ['us-west'],
      },
    });
    await admin.alterCollection({ namespace: 'app', name: 'carts', defaultExpiryMs: 0 });
    const { collections } = await admin.dropCollection({ namespace: 'app', name: 'carts' }, { force: true });
    expect(collections).toMatchObject([{ name: 'carts' }]);
    expect(region.collectionChanges).toEqual([
      {
        kind: 'create',
        spec: { namespace: 'app', name: 'carts', type: 'set-aw', description: '' },
        options: { deadlineMs: 800, wait: true },
      },
      {
        kind: 'alter',
        spec: { namespace: 'app', name: 'carts', type: undefined, defaultExpiryMs: 0 },
        options: { deadlineMs: 4000, wait: false },
      },
      {
        kind: 'drop',
        spec: { namespace: 'app', name: 'carts' },
        options: { deadlineMs: 4000, wait: false, force: true },
      },
    ]);
  });

  test('are refused with what was wrong', async () => {
    const { admin, address, region } = await served();
    const carts = { namespace: 'app', name: 'carts' } as const;
    await failure(admin.createCollection({ ...carts, name: 'no spaces', type: 'set-aw' }), 'INVALID_ARGUMENT');
    const typeless = unary(
      raw(address),
      '/causeway.v1.Admin/CreateCollection',
      encode('CreateCollectionRequest', carts),
    );
    expect((await failure(typeless, 'INVALID_ARGUMENT')).message).toBe('a collection has a merge type, for ever');
    const newer = encode('CreateCollectionRequest', { ...carts, mergeType: 99 });
    const unknown = unary(raw(address), '/causeway.v1.Admin/CreateCollection', newer);
    expect((await failure(unknown, 'INVALID_ARGUMENT')).message).toBe('merge type 99 is not known to this node');
    expect(region.collectionChanges).toEqual([]);
    region.refuseChange = new CausewayError('PRECONDITION_FAILED', 'app/carts exists', { hint: 'alter it instead' });
    const refused = await failure(admin.createCollection({ ...carts, type: 'set-aw' }), 'PRECONDITION_FAILED');
    expect(refused.hint).toBe('alter it instead');
  });

  test('a name that is not known is NOT_READY as long as the node may not have read all definitions', async () => {
    const { address, region } = await served();
    const app = client([address]);
    expect((await failure(app.read('nowhere', ['k']), 'UNKNOWN_COLLECTION')).hint).toContain(
      'causeway collection create',
    );
    region.setReady(false);
    await failure(app.read('nowhere', ['k'], { deadlineMs: 300 }), 'NOT_READY');
  });
});
