// The schemas and the step of `npm run check`: a checker that has never failed proves nothing.

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { manifestFileProblems, manifestProblems } from '../../scripts/manifests.mjs';
import { packageRoot } from '../../src/config/version.ts';

const KUBERNETES = join(packageRoot(), 'deploy/kubernetes');
const metadata = { name: 'x' };

test('deploy/kubernetes has no problems', () => {
  expect(manifestFileProblems()).toEqual([]);
});

describe('the schemas find', () => {
  const autoscaler = (): { spec: Record<string, unknown> } =>
    parse(readFileSync(join(KUBERNETES, 'base/autoscaler.yaml'), 'utf8'));
  const monitor = (): { spec: { endpoints: Record<string, unknown>[] } } =>
    parse(readFileSync(join(KUBERNETES, 'components/monitoring/service-monitor.yaml'), 'utf8'));

  test('nothing in what is right', () => {
    expect([autoscaler(), monitor()].flatMap(manifestProblems)).toEqual([]);
    // A claim inside another kind need not say its kind.
    const spec = {
      ...{ serviceName: 'x', selector: {}, template: {} },
      volumeClaimTemplates: [{ metadata, spec: { resources: { requests: { storage: '1Gi' } } } }],
    };
    expect(manifestProblems({ apiVersion: 'apps/v1', kind: 'StatefulSet', metadata, spec })).toEqual([]);
  });

  test.each<[what: string, manifest: object, problem: RegExp]>([
    ['a kind that nobody knows', { apiVersion: 'v1', kind: 'Servise', metadata }, /no schema of v1 Servise/],
    ['a version that is no more', { ...autoscaler(), apiVersion: 'autoscaling/v2beta2' }, /no schema/],
    [
      'a port that is no number',
      { apiVersion: 'v1', kind: 'Service', metadata, spec: { ports: [{ port: 'http' }] } },
      /\/spec\/ports\/0\/port must be integer/,
    ],
    [
      'half a replica',
      { ...autoscaler(), spec: { ...autoscaler().spec, maxReplicas: 2.5 } },
      /\/spec\/maxReplicas must be integer/,
    ],
    [
      'what is required',
      { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata, spec: { serviceName: 'x', selector: {} } },
      /\/spec must have required property 'template'/,
    ],
    [
      'a name that is misspelt',
      { ...autoscaler(), spec: { ...autoscaler().spec, maxReplica: 3 } },
      /\/spec must NOT have additional properties: maxReplica/,
    ],
    [
      'a word that is not among those allowed',
      { apiVersion: 'v1', kind: 'Service', metadata, spec: { ports: [{ port: 1, protocol: 'tcp' }] } },
      /protocol must be equal to one of the allowed values: SCTP,TCP,UDP/,
    ],
    [
      'a misspelt name in a ServiceMonitor',
      { ...monitor(), spec: { ...monitor().spec, endpoints: [{ ...monitor().spec.endpoints[0], paths: '/' }] } },
      /\/spec\/endpoints\/0 must NOT have additional properties: paths/,
    ],
    [
      'an interval that is none',
      { ...monitor(), spec: { ...monitor().spec, endpoints: [{ interval: '15 s' }] } },
      /\/spec\/endpoints\/0\/interval must match pattern/,
    ],
  ])('%s', (_, manifest, problem) => {
    expect(manifestProblems(manifest).join('\n')).toMatch(problem);
  });
});

describe('the files', () => {
  let copy: string | undefined;
  afterEach(() => {
    if (copy !== undefined) rmSync(copy, { recursive: true });
    copy = undefined;
  });

  /** deploy/kubernetes with one file changed. */
  function problems(path: string, change: (text: string) => string): string {
    copy = mkdtempSync(join(tmpdir(), 'causeway-manifests-'));
    cpSync(KUBERNETES, copy, { recursive: true });
    const file = join(copy, path);
    writeFileSync(file, change(readFileSync(file, 'utf8')));
    return manifestFileProblems(copy).join('\n');
  }

  test.each<[what: string, path: string, from: string | RegExp, to: string, problem: RegExp]>([
    [
      'a manifest',
      'base/budget.yaml',
      'maxUnavailable',
      'maxUnavailabel',
      /PodDisruptionBudget causeway: .*: maxUnavailabel/,
    ],
    ['a second document', 'base/services.yaml', /$/, '---\nkind: Service\n', /no schema of undefined Service/],
    ['YAML that is none', 'base/budget.yaml', 'spec:', 'spec: [', /base\/budget\.yaml: .*flow/i],
    ['a field twice', 'base/budget.yaml', 'kind:', 'kind: X\nkind:', /unique/],
    ['YAML 1.1, in which on is no text', 'base/nodes.yaml', "scrape: 'true'", 'scrape: on', /scrape must be string/],
    [
      'a field of kustomize',
      'overlays/us-east/kustomization.yaml',
      'images:',
      'image:',
      /additional properties: image/,
    ],
    [
      'a resource that is missing',
      'base/kustomization.yaml',
      'budget.yaml',
      'budgets.yaml',
      /budgets\.yaml is not there/,
    ],
    ['a manifest that nobody names', 'base/kustomization.yaml', '  - budget.yaml\n', '', /budget\.yaml: no kust/],
    ['a component that is missing', 'overlays/us-west/kustomization.yaml', '/monitoring', '/monitor', /is not there/],
    ['a file of a ConfigMap', 'base/kustomization.yaml', '[node.yaml]', '[nod.yaml]', /nod\.yaml is not there/],
  ])('%s', (_, path, from, to, problem) => {
    expect(problems(path, (text) => text.replace(from, to))).toMatch(problem);
  });

  test('a directory without anything', () => {
    copy = mkdtempSync(join(tmpdir(), 'causeway-manifests-'));
    mkdirSync(join(copy, 'base'));
    expect(manifestFileProblems(copy).join()).toMatch(/there is no kustomization\.yaml in it/);
  });
});
