import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { parse } from 'yaml';
import { projectPath } from '../support/consumer.js';
import { ask } from '../support/http.js';
import { readCommand, readPodSpec } from '../support/pod-spec.js';
import { freePort, start, startNode, until, type Child } from '../support/processes.js';

interface HttpProbe {
  readonly httpGet: { readonly path: string; readonly port: number; readonly httpHeaders: readonly { name: string; value: string }[] };
}

interface Deployment {
  readonly spec: { readonly replicas: number; readonly template: { readonly metadata: { readonly labels: object } } };
}

interface Service {
  readonly spec: { readonly selector: object; readonly ports: readonly [{ readonly targetPort: string }] };
}

interface Budget {
  readonly spec: { readonly maxUnavailable: number; readonly selector: object };
}

interface Policy {
  readonly spec: {
    readonly podSelector: object;
    readonly policyTypes: readonly string[];
    readonly ingress: readonly { readonly ports: readonly { readonly port: number }[] }[];
  };
}

const PROBES = ['startupProbe', 'livenessProbe', 'readinessProbe'] as const;
const FILES = readdirSync(projectPath('examples/kubernetes'));

const read = (file: string) => parse(readFileSync(projectPath('examples/kubernetes', file), 'utf8')) as unknown;

describe('examples/kubernetes', () => {
  let child: Child;
  afterEach(() => child.stop('SIGKILL'));

  it('answers each probe of deployment.yaml as the kubelet asks for it, drains, and ends with 0', async () => {
    const [container] = readPodSpec('kubernetes', 'deployment.yaml').containers;
    // The kubelet and the public have fixed ports, and a test has none: each takes the place of its own.
    const ports = new Map([
      [3000, await freePort()],
      [9090, await freePort()],
    ]);
    const env = { PORT: String(ports.get(3000)), MANAGEMENT_PORT: String(ports.get(9090)), KUBERNETES_SERVICE_HOST: '10.0.0.1' };
    child = startNode(projectPath('build/examples/kubernetes/server.js'), env);
    const probe = (name: (typeof PROBES)[number]) => {
      const { path, port, httpHeaders } = (container[name] as unknown as HttpProbe).httpGet;
      const headers = Object.fromEntries(httpHeaders.map((header) => [header.name, header.value]));
      return ask(`http://127.0.0.1:${String(ports.get(port))}${path}`, { headers });
    };
    await until(async () => (await probe('startupProbe')).status === 200);
    for (const name of PROBES) expect(await probe(name)).to.include({ status: 200, body: 'ok' });
    expect((await ask(`http://127.0.0.1:${String(ports.get(3000))}/`)).body).to.equal('Hello\n');

    child.process.kill('SIGTERM');
    await until(async () => (await probe('readinessProbe')).status === 503);
    expect((await probe('livenessProbe')).status).to.equal(200);
    expect((await ask(`http://127.0.0.1:${String(ports.get(3000))}/`)).body).to.equal('Hello\n');
    await once(child.process, 'exit');
    expect(child.process.exitCode).to.equal(0);
  });

  it('passes each probe of worker.yaml by its command, and ends with 0', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'kubernetes-'));
    const [container] = readPodSpec('kubernetes', 'worker.yaml').containers;
    child = startNode(projectPath('build/examples/kubernetes/worker.js'), { PROBE_DIRECTORY: directory });
    const probe = async (name: (typeof PROBES)[number]) => {
      const [program, ...args] = readCommand(container[name]!);
      const words = args.map((word) => word.replace('/run/app', directory));
      const [code] = (await once(start(program, words, { cwd: '/', env: { PATH: process.env['PATH'] } }).process, 'close')) as [number];
      return code;
    };
    await until(async () => (await probe('startupProbe')) === 0);
    for (const name of PROBES) expect(await probe(name)).to.equal(0);
    expect(await child.stop('SIGTERM')).to.equal(0);
    rmSync(directory, { recursive: true });
  });
});

describe('the files of examples/kubernetes', () => {
  const deployment = read('deployment.yaml') as Deployment;
  const { labels } = deployment.spec.template.metadata;

  for (const file of ['deployment.yaml', 'worker.yaml']) {
    it(`run under the restricted pod security standard: ${file}`, () => {
      const { securityContext, containers } = readPodSpec('kubernetes', file);
      expect(securityContext).to.deep.equal({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
      expect(containers).to.have.lengthOf(1);
      expect(containers[0].securityContext).to.deep.equal({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
    });
  }

  it('select the pods of the service, and none of the worker', () => {
    expect((read('service.yaml') as Service).spec.selector).to.deep.equal(labels);
    expect((read('pod-disruption-budget.yaml') as Budget).spec.selector).to.deep.equal({ matchLabels: labels });
    expect((read('network-policy.yaml') as Policy).spec.podSelector).to.deep.equal({ matchLabels: labels });
    expect((read('worker.yaml') as Deployment).spec.template.metadata.labels).not.to.deep.equal(labels);
  });

  it('let the public reach the port of the application, and nobody but the kubelet that of the probes', () => {
    const [container] = readPodSpec('kubernetes', 'deployment.yaml').containers as unknown as [
      { ports: { name: string; containerPort: number }[] },
    ];
    const [{ targetPort }] = (read('service.yaml') as Service).spec.ports;
    const open = container.ports.filter(({ name }) => name === targetPort).map(({ containerPort }) => containerPort);
    expect(open).to.deep.equal([3000]);
    const { policyTypes, ingress } = (read('network-policy.yaml') as Policy).spec;
    expect(policyTypes).to.deep.equal(['Ingress']);
    expect(ingress.flatMap(({ ports }) => ports.map(({ port }) => port))).to.deep.equal(open);
  });

  it('leave a node room to be drained', () => {
    const { maxUnavailable } = (read('pod-disruption-budget.yaml') as Budget).spec;
    expect(maxUnavailable).to.be.within(1, deployment.spec.replicas - 1);
  });

  it('start Node as PID 1, as a user whose number the kubelet can check', () => {
    const dockerfile = readFileSync(projectPath('examples/kubernetes/Dockerfile'), 'utf8');
    const last = (instruction: string) => [...dockerfile.matchAll(new RegExp(`^${instruction} (.*)$`, 'gm'))].at(-1)?.[1] ?? '';
    expect(JSON.parse(last('CMD'))).to.deep.equal(['node', 'dist/server.js']);
    expect(dockerfile).not.to.match(/^ENTRYPOINT/m);
    expect(Number(last('USER'))).to.be.greaterThan(0);
    const { command } = readPodSpec('kubernetes', 'worker.yaml').containers[0] as unknown as { command: string[] };
    expect(command).to.deep.equal(['node', 'dist/worker.js']);
    for (const program of ['server', 'worker']) expect(FILES).to.include(`${program}.ts`);
  });
});
