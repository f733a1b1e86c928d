// docs/openapi.yaml and the routes say the same, both ways. That answers are as it says is held by test/support/http.ts in every other test.

import { expect, test } from 'vitest';
import { HTTP_STATUS } from '../../../src/api/http/errors.ts';
import { ROUTES, type Operation } from '../../../src/api/http/routes.ts';
import { MERGE_TYPE_CODES } from '../../../src/record/op.ts';
import { ask, OPENAPI, resolved, serveHttp, type OpenApiOperation } from '../../support/http.ts';

/** `GET /v1/{namespace}` → what it takes in its query, by name. */
function implemented(): Map<string, string[]> {
  return new Map(
    ROUTES.flatMap(({ path, methods }) =>
      Object.entries(methods as Record<string, Operation>).map(([method, { query, watch = [] }]) => [
        `${method} ${path}`,
        [...new Set([...query, ...watch])].toSorted(),
      ]),
    ),
  );
}

function operations(): { name: string; path: string; operation: OpenApiOperation }[] {
  return Object.entries(OPENAPI.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([method]) => method !== 'parameters')
      .map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, path, operation })),
  );
}

function names(operation: OpenApiOperation, where: string): string[] {
  return (operation.parameters ?? [])
    .map(resolved)
    .filter((parameter) => parameter.in === where)
    .map(({ name }) => name!)
    .toSorted();
}

test('every route and method stands in docs/openapi.yaml with its query, and nothing else does', () => {
  const documented = new Map(operations().map(({ name, operation }) => [name, names(operation, 'query')]));
  expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(implemented()));
});

test('what stands in a path is declared, and every reference leads somewhere', () => {
  for (const { path, name } of operations()) {
    const shared = OPENAPI.paths[path]!['parameters'] as unknown as OpenApiOperation['parameters'];
    const declared = names({ ...(shared === undefined ? {} : { parameters: shared }), responses: {} }, 'path');
    expect(declared, name).toEqual([...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!).toSorted());
  }
  const references = [...JSON.stringify(OPENAPI).matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1]!);
  expect(references.length).toBeGreaterThan(50);
  for (const $ref of references) expect(() => resolved({ $ref })).not.toThrow();
});

test('parameters of a query with a header of their own have both', () => {
  const pairs = {
    consistency: 'Causeway-Consistency',
    maxStaleMs: 'Causeway-Max-Stale-Ms',
    deadlineMs: 'Causeway-Deadline-Ms',
    allowStale: 'Causeway-Allow-Stale',
    durability: 'Causeway-Durability',
  };
  for (const { name, operation } of operations()) {
    const headers = names(operation, 'header');
    for (const [query, header] of Object.entries(pairs)) {
      expect(headers.includes(header), `${header} of ${name}`).toBe(names(operation, 'query').includes(query));
    }
  }
});

test('codes and merge types are all there', () => {
  const { ErrorDetail, MergeType } = OPENAPI.components['schemas'] as {
    ErrorDetail: { properties: { code: { enum: string[] } } };
    MergeType: { enum: string[] };
  };
  expect(ErrorDetail.properties.code.enum.toSorted()).toEqual(Object.keys(HTTP_STATUS).toSorted());
  expect(MergeType.enum.toSorted()).toEqual(Object.keys(MERGE_TYPE_CODES).toSorted());
});

test('it is served', async () => {
  const { httpPort } = await serveHttp();
  const answer = await ask(httpPort, 'GET', '/openapi.json');
  expect(answer.status).toBe(200);
  expect(answer.json()).toEqual(JSON.parse(JSON.stringify(OPENAPI)));
});
