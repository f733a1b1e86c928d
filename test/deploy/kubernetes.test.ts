// deploy/kubernetes: what kustomize makes of each overlay is what the schemas in deploy/schemas allow, fits together, and starts nodes whose configuration is valid.
// The files themselves are checked without kubectl by `npm run check -- manifests`; its test is test/scripts/manifests.test.ts.

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { StatefulSet } from 'kubernetes-models/apps/v1';
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import { Service, type ConfigMap } from 'kubernetes-models/v1';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { manifestProblems } from '../../scripts/manifests.mjs';
import { settingsHash } from '../../src/config/hash.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import { packageRoot } from '../../src/config/version.ts';
import { only, stages } from './dockerfile.ts';

type Manifest = { readonly kind: string; readonly metadata: { readonly name: string; readonly namespace?: string } };

/** As the schema has it, of which there are no types here. */
interface ServiceMonitor extends Manifest {
  readonly spec: {
    readonly selector: { readonly matchLabels: Record<string, string> };
    readonly endpoints: readonly {
      readonly port: string;
      readonly path: string;
      readonly scheme: string;
      readonly tlsConfig: { readonly ca: { readonly secret: { readonly name: string } }; readonly serverName: string };
    }[];
  };
}

const base = join(packageRoot(), 'deploy/kubernetes/base');
const overlays = join(packageRoot(), 'deploy/kubernetes/overlays');
const regions = readdirSync(overlays);
/** Nothing is fetched for it: it comes with any kubectl. */
const missing =
  spawnSync('kubectl', ['kustomize', '--help']).error === undefined
    ? undefined
    : 'kubectl is not installed, which renders deploy/kubernetes';
if (missing !== undefined) console.warn(`the tests of what kustomize renders are skipped: ${missing}`);

function rendered(directory: string): Manifest[] {
  const { status, stdout, stderr } = spawnSync('kubectl', ['kustomize', directory], { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  expect(stderr, 'warnings of kustomize').toBe('');
  return parseAllDocuments(stdout).map((document) => document.toJS() as Manifest);
}

/** The one of its kind, and of its name. */
function get<T>(all: readonly Manifest[], Kind: new (data: never) => T, name?: string): T {
  const found = all.filter((each) => each.kind === Kind.name && (name === undefined || each.metadata.name === name));
  expect(found, `${Kind.name} ${name ?? ''}`).toHaveLength(1);
  return found[0] as T;
}

test.skipIf(missing !== undefined)(
  'without its component the base has no kind that a cluster lacks, and is scraped by annotations',
  () => {
    const all = rendered(base);
    expect(all.flatMap(manifestProblems)).toEqual([]);
    expect(all.map(({ kind }) => kind)).not.toContain('ServiceMonitor');
    expect(get(all, StatefulSet).spec!.template.metadata!.annotations).toMatchObject({
      'prometheus.io/scrape': 'true',
    });
  },
);

test.skipIf(missing !== undefined)('nodes of all regions let each other in', () => {
  const configs = regions.flatMap((region) => nodeConfigs(rendered(join(overlays, region))));
  expect(new Set(configs.map((config) => settingsHash(config))).size).toBe(1);
  expect(configs.map(({ region, node }) => `${region}/${node}`)).toEqual(
    regions.flatMap((region) => [0, 1, 2, 3].map((i) => `${region}/causeway-${i}`)),
  );
});

/** Of each replica that there may be, as its environment and the files that are mounted make it. */
function nodeConfigs(all: readonly Manifest[]): Config[] {
  const { template } = get(all, StatefulSet).spec!;
  const { maxReplicas } = get(all, HorizontalPodAutoscaler).spec!;
  const [container] = template.spec!.containers;
  const files = Object.assign(
    {},
    ...all.filter(({ kind }) => kind === 'ConfigMap').map((map) => (map as ConfigMap).data),
  );
  return Array.from({ length: maxReplicas }, (_, i) => {
    const values: Record<string, string> = {};
    for (const { name, value, valueFrom } of container!.env!) {
      const path = valueFrom?.fieldRef?.fieldPath;
      const key = valueFrom?.configMapKeyRef?.key;
      if (path === 'metadata.name') values[name] = `causeway-${i}`;
      else if (path === 'metadata.namespace') values[name] = get(all, StatefulSet).metadata!.namespace!;
      else if (key !== undefined) values[name] = files[key] as string;
      else values[name] = value!.replaceAll(/\$\((\w+)\)/g, (_, variable: string) => values[variable]!);
    }
    delete values['POD_NAMESPACE'];
    const file = { name: 'node.yaml', text: files['node.yaml'] as string, directory: '/etc/causeway' };
    return loadConfig({ file, env: { ...values, CAUSEWAY_DATA_DIR: '/data' }, flags: [], directory: '/' }).config;
  });
}

describe.skipIf(missing !== undefined).each(regions)('%s', (region) => {
  const all = missing === undefined ? rendered(join(overlays, region)) : [];
  const set = (): StatefulSet => get(all, StatefulSet);
  const pod = () => set().spec!.template.spec!;
  const container = () => pod().containers[0]!;

  test('is what Kubernetes takes, in one namespace', () => {
    expect(all.flatMap(manifestProblems)).toEqual([]);
    expect(new Set(all.map(({ metadata }) => metadata.namespace))).toEqual(new Set(['causeway']));
    expect(all.map(({ kind }) => kind).toSorted()).toEqual(
      [
        ...['ConfigMap', 'ConfigMap', 'HorizontalPodAutoscaler', 'NetworkPolicy', 'PodDisruptionBudget'],
        ...Array<string>(6).fill('Service'),
        ...['ServiceMonitor', 'StatefulSet'],
      ].toSorted(),
    );
  });

  test('the nodes are of this region, at addresses that there are Services for, and one for each that the regions dial', () => {
    const configs = nodeConfigs(all);
    for (const { node, advertise, region: own } of configs) {
      expect(own).toBe(region);
      expect(advertise).toBe(`${node}.${set().spec!.serviceName}.causeway.svc:7400`);
      const peers = get(all, Service, `causeway-peers-${node.at(-1)}`).spec!;
      expect(peers.selector).toMatchObject({ 'statefulset.kubernetes.io/pod-name': node });
      expect(peers.publishNotReadyAddresses).toBe(true);
    }
    expect(get(all, Service, 'causeway-nodes').spec).toMatchObject({
      clusterIP: 'None',
      publishNotReadyAddresses: true,
    });
    const peers = all.filter(
      ({ kind, metadata: { name } }) => kind === 'Service' && name.startsWith('causeway-peers-'),
    );
    expect(peers).toHaveLength(configs.length);
  });

  test('the autoscaler makes no node that other regions do not dial, or that has no shard, and takes one at a time away', () => {
    const { scaleTargetRef, minReplicas, maxReplicas, behavior } = get(all, HorizontalPodAutoscaler).spec!;
    const { apiVersion, kind, metadata } = set();
    expect(scaleTargetRef).toEqual({ apiVersion, kind, name: metadata!.name });
    // A number there would be written over the autoscaler's with every apply.
    expect(set().spec).not.toHaveProperty('replicas');
    expect(minReplicas).toBe(2);
    for (const config of nodeConfigs(all)) {
      for (const { peers } of config.regions) expect(peers).toHaveLength(maxReplicas);
      for (const { shards } of config.placements) expect(maxReplicas).toBeLessThanOrEqual(shards);
    }
    for (const direction of ['scaleUp', 'scaleDown'] as const) {
      expect(behavior![direction]!.policies).toEqual([{ type: 'Pods', value: 1, periodSeconds: expect.any(Number) }]);
      // Longer than a node that goes may take.
      expect(behavior![direction]!.policies![0]!.periodSeconds).toBeGreaterThan(pod().terminationGracePeriodSeconds!);
    }
    expect(behavior!.scaleDown!.stabilizationWindowSeconds).toBeGreaterThanOrEqual(600);
  });

  test('the autoscaler asks for what the adapter serves, by pod', () => {
    const { metrics } = get(all, HorizontalPodAutoscaler).spec!;
    const { rules } = parse(readFileSync(join(packageRoot(), 'deploy/prometheus/adapter.yaml'), 'utf8')) as {
      readonly rules: readonly { readonly name: { readonly as: string }; readonly resources: object }[];
    };
    expect(metrics!.map(({ type, pods }) => [type, pods?.target.type, pods?.metric.name])).toEqual(
      rules.map(({ name }) => ['Pods', 'AverageValue', name.as]),
    );
    for (const { resources } of rules) {
      expect(resources).toEqual({ overrides: { namespace: { resource: 'namespace' }, pod: { resource: 'pod' } } });
    }
  });

  test('each node is scraped once, at a port that it has, by a name that its certificate has', () => {
    const monitors = all.filter(({ kind }) => kind === 'ServiceMonitor') as ServiceMonitor[];
    const [{ spec }] = monitors as [ServiceMonitor];
    const services = all.filter(({ kind }) => kind === 'Service') as unknown as Service[];
    const selected = services.filter(({ metadata }) =>
      Object.entries(spec.selector.matchLabels).every(([label, value]) => metadata!.labels![label] === value),
    );
    expect(spec.endpoints).toHaveLength(1);
    const [{ port, path, scheme, tlsConfig }] = spec.endpoints as [ServiceMonitor['spec']['endpoints'][number]];
    const scraped = selected.filter(({ spec: { ports } = {} }) => ports!.some(({ name }) => name === port));
    // Of two Services with the port each pod would be two targets. The alerts go by the job, which is the Service's name.
    expect(scraped.map(({ metadata }) => metadata!.name)).toEqual(['causeway']);
    const target = scraped[0]!.spec!.ports!.find(({ name }) => name === port)!.targetPort;
    expect(container().ports!.map(({ name }) => name)).toContain(target);
    expect([path, scheme]).toEqual(['/metrics', 'https']);
    expect(set().spec!.template.metadata!.annotations).toBeUndefined();
    expect(tlsConfig.serverName).toBe(`causeway-0.${set().spec!.serviceName}.causeway.svc`);
    expect(pod().volumes!.map(({ secret }) => secret?.secretName)).toContain(tlsConfig.ca.secret.name);
    const lets = get(all, NetworkPolicy).spec!.ingress!.find(({ ports }) =>
      ports!.some((each) => each.port === target),
    );
    expect(lets!.from).toContainEqual({ namespaceSelector: { matchLabels: { 'causeway.dev/monitoring': 'true' } } });
  });

  test('selectors find the pods, and ports have names that the pods have', () => {
    const labels = set().spec!.template.metadata!.labels!;
    expect(labels).toMatchObject({ 'app.kubernetes.io/name': 'causeway' });
    const matching = { 'app.kubernetes.io/name': 'causeway' };
    expect(set().spec!.selector.matchLabels).toEqual(matching);
    expect(get(all, PodDisruptionBudget).spec).toEqual({ maxUnavailable: 1, selector: { matchLabels: matching } });
    expect(get(all, NetworkPolicy).spec!.podSelector).toEqual({ matchLabels: matching });
    for (const spread of pod().topologySpreadConstraints!) expect(spread.labelSelector!.matchLabels).toEqual(matching);
    expect(pod().topologySpreadConstraints!.map(({ topologyKey }) => topologyKey)).toEqual([
      'kubernetes.io/hostname',
      'topology.kubernetes.io/zone',
    ]);
    const ports = container().ports!.map(({ name }) => name);
    const used = all
      .filter(({ kind }) => kind === 'Service')
      .flatMap((service) => (service as Service).spec!.ports!.map(({ targetPort }) => targetPort));
    const allowed = get(all, NetworkPolicy).spec!.ingress!.flatMap((rule) => rule.ports!.map(({ port }) => port));
    for (const port of [...used, ...allowed]) expect(ports).toContain(port);
  });

  test('a pod is nobody in particular, may write to its data alone, and has longer to end than pause and drain take', () => {
    const [uid, gid] = only(stages().at(-1)!, 'USER')![0]!.split(':').map(Number);
    expect(pod().securityContext).toMatchObject({
      ...{ runAsNonRoot: true, runAsUser: uid, runAsGroup: gid, fsGroup: gid },
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(container().securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect([pod().automountServiceAccountToken, pod().enableServiceLinks]).toEqual([false, false]);
    const writable = container().volumeMounts!.filter(({ readOnly }) => readOnly !== true);
    expect(writable.map(({ mountPath }) => mountPath)).toEqual(['/data']);
    const pause = Number(container().lifecycle!.preStop!.exec!.command!.at(-1));
    expect(pod().terminationGracePeriodSeconds).toBeGreaterThan(pause + 15);
    expect(container().resources!.limits).toHaveProperty('memory');
  });

  test('probes ask where the node answers them, over what it speaks there', () => {
    const [{ listeners }] = nodeConfigs(all) as [Config];
    const { startupProbe, livenessProbe, readinessProbe } = container();
    for (const [probe, path] of [
      [startupProbe, '/livez'],
      [livenessProbe, '/livez'],
      [readinessProbe, '/readyz'],
    ] as const) {
      expect(probe!.httpGet).toEqual({ path, port: 'http', scheme: 'HTTPS' });
      // A kubelet shows no certificate.
      expect(listeners.http.tls?.clientCert).toBe('none');
    }
    expect(container().ports).toContainEqual({
      name: 'http',
      containerPort: Number(listeners.http.address.split(':')[1]),
    });
  });

  test('every volume is there, and every file that the configuration names is in one', () => {
    const volumes = new Set([
      ...pod().volumes!.map(({ name }) => name),
      ...set().spec!.volumeClaimTemplates!.map(({ metadata }) => metadata!.name!),
    ]);
    for (const { name } of container().volumeMounts!) expect(volumes).toContain(name);
    const names = all.filter(({ kind }) => kind === 'ConfigMap').map(({ metadata }) => metadata.name);
    for (const { configMap } of pod().volumes!) if (configMap) expect(names).toContain(configMap.name);
    expect(names).toContain(
      container().env!.find(({ name }) => name === 'CAUSEWAY_REGION')!.valueFrom!.configMapKeyRef!.name,
    );
    const mounts = container().volumeMounts!.map(({ mountPath }) => `${mountPath}/`);
    const [{ nats, redis, listeners }] = nodeConfigs(all) as [Config];
    const files = [nats.passwordFile, redis.passwordFile, ...Object.values(listeners.peers.tls ?? {})].filter((each) =>
      each?.startsWith('/'),
    );
    expect(files).toHaveLength(5);
    for (const file of files)
      expect(
        mounts.some((mount) => file!.startsWith(mount)),
        file,
      ).toBe(true);
  });

  test('nobody reaches a node from anywhere but other regions, and it reaches its servers', () => {
    const { ingress, egress, policyTypes } = get(all, NetworkPolicy).spec!;
    expect(policyTypes).toEqual(['Ingress', 'Egress']);
    expect(
      ingress!.filter(({ from }) => from === undefined).flatMap(({ ports }) => ports!.map(({ port }) => port)),
    ).toEqual(['peers']);
    const [{ nats, redis }] = nodeConfigs(all) as [Config];
    const open = new Set(egress!.flatMap(({ ports }) => ports!.map(({ port }) => `${port}`)));
    const asked = [...nats.servers, ...redis.servers, ...nats.monitors.map((url) => new URL(url).host)];
    for (const address of asked) expect(open).toContain(address.split(':')[1]);
    expect([...open]).toEqual(expect.arrayContaining(['53', '7400', '7401']));
  });
});
