import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { parseAllDocuments } from 'yaml';
import { runCommand } from '../support/command.js';
import { projectPath } from '../support/consumer.js';
import { start } from '../support/processes.js';

interface Finding {
  readonly rule: string;
  readonly severity: string;
  readonly message: string;
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly object: string;
  readonly isFixable: boolean;
}

const fixtures = projectPath('test', 'fixtures', 'manifests');
const files = readdirSync(fixtures).map((file) => join(fixtures, file));
const readHeader = (file: string, name: string) => new RegExp(`^# ${name}: (.*)$`, 'm').exec(readFileSync(file, 'utf8'))?.[1];
const appOf = (file: string) => {
  const app = readHeader(file, 'App');
  return app === undefined ? [] : ['--app', projectPath('build', app)];
};
const lintJson = async (...args: string[]) => {
  const { stdout, stderr } = await runCommand(['lint', '--format', 'json', ...args]);
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as Finding[];
};
const rulesOf = (findings: readonly Finding[]) => findings.map(({ rule }) => rule).toSorted((a, b) => a.localeCompare(b));

type Model = new (object: unknown) => { validate(): void };

/** The class of kubernetes-models for an object; undefined for a list or a kind of somebody else. */
async function loadModel(apiVersion: string, kind: string): Promise<Model | undefined> {
  try {
    const module = (await import(`kubernetes-models/${apiVersion}/${kind}`)) as Readonly<Record<string, Model>>;
    return module[kind];
  } catch {
    return undefined;
  }
}

describe('koa-probes lint', () => {
  let folder: string;
  before(() => (folder = mkdtempSync(projectPath('build', 'lint-'))));
  after(() => rmSync(folder, { recursive: true }));

  function write(name: string, text: string): string {
    const file = join(folder, name);
    writeFileSync(file, text);
    return file;
  }

  describe('finds in manifests after common guides and charts what an experienced operator would say, and nothing in good ones', () => {
    for (const file of files) {
      const expected = (readHeader(file, 'Finds') ?? '').replace('nothing', '').split(' ').filter(Boolean);
      it(`${file.slice(fixtures.length + 1)}: ${expected.join(', ') || 'nothing'}`, async () => {
        expect(rulesOf(await lintJson(file, ...appOf(file)))).to.deep.equal(expected);
      });
    }

    it('agrees with the published schema where the apiserver does', async () => {
      for (const file of files) {
        const refused = readHeader(file, 'Apiserver 1\\.34')?.startsWith('refuses') === true;
        for (const document of parseAllDocuments(readFileSync(file, 'utf8'), { merge: true })) {
          const object = document.toJS() as { apiVersion: string; kind: string; items?: never } | null;
          const model = object === null ? undefined : await loadModel(object.apiVersion, object.kind);
          // A patch is no whole object.
          if (model === undefined || file.includes('patch')) continue;
          // The schema does not know what the apiserver refuses: two handlers, unknown fields and the successThreshold.
          expect(() => new model(object).validate(), `${file}${refused ? ', although the apiserver refuses it' : ''}`).not.to.throw();
        }
      }
    });

    it('has a verdict of the apiserver for each of them', () => {
      expect(files.filter((file) => readHeader(file, 'Apiserver 1\\.34') === undefined)).to.deep.equal([]);
    });

    it('finds nothing in the examples of this project', async () => {
      const example = (name: string) => projectPath('examples', 'kubernetes', name);
      const service = ['deployment.yaml', 'service.yaml', 'pod-disruption-budget.yaml', 'network-policy.yaml']
        .map(example)
        .filter((file) => readdirSync(dirname(file)).some((one) => file.endsWith(one)));
      expect(await lintJson(...service, '--app', projectPath('build/examples/kubernetes/server.js'))).to.deep.equal([]);
      expect(await lintJson(example('worker.yaml'), '--app', projectPath('build/examples/kubernetes/worker-app.js'))).to.deep.equal([]);
    });
  });

  describe('finds', () => {
    /** A pod with one container. What stands behind its name is added to it, and what is added to the pod comes first. */
    const pod = (container: string, spec = '') => `apiVersion: v1
kind: Pod
metadata: { name: shop, labels: { app: shop } }
spec:
  ${spec}
  containers:
    - name: shop
      image: example/shop:1
      ${container}
`;
    const app = (setup: string, probes = '') => `
      import { createServer } from 'node:http';
      import { gracefulShutdown, probeHeartbeat, probeMiddleware, ProbeRegistry, probeServer } from 'koa-probes';
      export const probes = new ProbeRegistry({ logger: false });
      const check = () => {};
      ${probes}
      ${setup}
    `;
    const SERVER = 'await probeServer(probes, { port: 9090 });';
    const get = (path: string, port: string | number = 9090) => `{ path: ${path}, port: ${String(port)} }`;

    const cases: Record<string, { manifest: string; code?: string; finds: string[] }> = {
      'a path that nobody answers, and says which are': {
        manifest: pod(`livenessProbe: { httpGet: ${get('/healthy')} }`),
        code: app(SERVER),
        finds: ['path-unanswered'],
      },
      'the path of a probe that does not exist': {
        manifest: pod(`livenessProbe: { httpGet: ${get('/livez/unknown')} }`),
        code: app(SERVER),
        finds: ['path-unanswered'],
      },
      'a path with a query, a slash and the name of a probe to be right': {
        manifest: pod(`livenessProbe: { httpGet: ${get("'/livez/search/?verbose'")} }`),
        code: app(SERVER, "probes.register({ name: 'search', kinds: ['liveness'], check });"),
        finds: [],
      },
      'the path of another kind': {
        manifest: pod(`readinessProbe: { httpGet: ${get('/healthz')} }`),
        code: app(SERVER),
        finds: ['wrong-kind'],
      },
      'a startup probe at the path of liveness to be right if there are no startup probes': {
        manifest: pod(`startupProbe: { httpGet: ${get('/livez')} }`),
        code: app(SERVER),
        finds: [],
      },
      'a port on which nobody listens': {
        manifest: pod(`livenessProbe: { httpGet: ${get('/livez', 9091)} }`),
        code: app(SERVER),
        finds: ['port-not-served'],
      },
      'a port on which only this machine can ask': {
        manifest: pod(`livenessProbe: { httpGet: ${get('/livez')} }`),
        code: app("await probeServer(probes, { port: 9090, host: '127.0.0.1' });"),
        finds: ['port-not-served'],
      },
      'a port that is served and not declared to be right': {
        manifest: pod(`livenessProbe: { httpGet: ${get('/livez')} }`),
        code: app(SERVER),
        finds: [],
      },
      'a port that the code does not tell to be right': {
        manifest: pod(`livenessProbe: { httpGet: ${get('/livez', 4000)} }`),
        code: app('probeMiddleware(probes); gracefulShutdown(createServer(), probes);'),
        finds: [],
      },
      'a check that may take longer than Kubernetes waits': {
        manifest: pod(`livenessProbe: { httpGet: ${get('/livez')} }`),
        code: app(SERVER, "probes.register({ name: 'slow', kinds: ['liveness'], timeoutMs: 1_001, check });"),
        finds: ['timeout-below-probe'],
      },
      'a command that waits less than a check may take': {
        manifest: pod(
          `livenessProbe: { exec: { command: [koa-probes, probe, --live, --timeout, '1', --socket, /run/s] }, timeoutSeconds: 5 }`,
        ),
        code: app(
          "await probeServer(probes, { socket: '/run/s' });",
          "probes.register({ name: 'slow', kinds: ['liveness'], timeoutMs: 2_000, check });",
        ),
        finds: ['timeout-below-probe'],
      },
      'a slow check in the background to be right': {
        manifest: pod(`livenessProbe: { httpGet: ${get('/livez')} }`),
        code: app(SERVER, "probes.register({ name: 'slow', kinds: ['liveness'], timeoutMs: 5_000, intervalMs: 10_000, check });"),
        finds: [],
      },
      'a grace period below the shutdown, also without a probe': {
        manifest: pod('', 'terminationGracePeriodSeconds: 25'),
        code: app('gracefulShutdown(createServer(), probes);' + SERVER),
        finds: ['grace-below-shutdown'],
      },
      'a grace period below the shutdown, of the container that is asked': {
        manifest: pod(`livenessProbe: { httpGet: ${get('/livez')} }`, 'terminationGracePeriodSeconds: 25'),
        code: app('gracefulShutdown(createServer(), probes);' + SERVER),
        finds: ['grace-below-shutdown'],
      },
      'a grace period that the shutdown is told of to be right': {
        manifest: pod(
          `env: [{ name: TERMINATION_GRACE_PERIOD_SECONDS, value: '20' }]\n      livenessProbe: { httpGet: ${get('/livez')} }`,
          'terminationGracePeriodSeconds: 20',
        ),
        code: app('gracefulShutdown(createServer(), probes);' + SERVER),
        finds: [],
      },
      'a hook and a shutdown that both wait': {
        manifest: pod(`lifecycle: { preStop: { sleep: { seconds: 4 } } }\n      livenessProbe: { httpGet: ${get('/livez')} }`),
        code: app('gracefulShutdown(createServer(), probes);' + SERVER),
        finds: ['double-drain'],
      },
      'a readiness probe that fails later than the drain': {
        manifest: pod(`readinessProbe: { httpGet: ${get('/readyz')} }`),
        code: app('gracefulShutdown(createServer(), probes);' + SERVER),
        finds: ['drain-below-readiness'],
      },
      'a liveness probe that checks something outside': {
        manifest: pod(`livenessProbe: { httpGet: ${get('/livez')} }`),
        code: `
          import { discoverProbes, LivenessProbe, ProbeRegistry, probeServer } from 'koa-probes';
          import { TcpProbe } from 'koa-probes/tcp';
          export const probes = new ProbeRegistry({ logger: false });
          class MailProbe extends TcpProbe {
            constructor() {
              super([{ host: 'mail', port: 25 }]);
            }
          }
          LivenessProbe()(MailProbe);
          await discoverProbes(undefined, { registry: probes, classes: [MailProbe] });
          await probeServer(probes, { port: 9090 });`,
        finds: ['liveness-outside'],
      },
      'startup probes that Kubernetes does not wait for': {
        manifest: pod(`livenessProbe: { httpGet: ${get('/livez')} }`),
        code: app(SERVER, "probes.register({ name: 'cache', kinds: ['startup'], check });"),
        finds: ['startup-missing'],
      },
      'less time to start than one run takes': {
        manifest: pod(`startupProbe: { httpGet: ${get('/startupz')}, periodSeconds: 1, failureThreshold: 2, timeoutSeconds: 4 }`),
        code: app(SERVER, "probes.register({ name: 'cache', kinds: ['startup'], timeoutMs: 3_000, check });"),
        finds: ['startup-budget'],
      },
      'a result that is kept for longer than the period': {
        manifest: pod(`livenessProbe: { httpGet: ${get('/livez')} }`),
        code: app(SERVER, "probes.register({ name: 'old', kinds: ['liveness'], cacheMs: 30_000, check });"),
        finds: ['cache-over-period'],
      },
      'thresholds that add up': {
        manifest: pod(`livenessProbe: { httpGet: ${get('/livez')} }`),
        code: app(SERVER, "probes.register({ name: 'patient', kinds: ['liveness'], failureThreshold: 4, check });"),
        finds: ['thresholds-add-up'],
      },
      'a heartbeat that the code does not write': {
        manifest: pod(
          "livenessProbe: { exec: { command: [koa-probes, probe, --live, --heartbeat, /run/other, --timeout, '4'] }, timeoutSeconds: 5 }",
        ),
        code: app("await probeHeartbeat(probes, { directory: '/run/app' });"),
        finds: ['heartbeat-directory'],
      },
      'a shell that reads another heartbeat': {
        manifest: pod(
          "livenessProbe: { exec: { command: [sh, -c, 'read u _ </proc/uptime; read d </run/other/live && [ ${u%.*} -le $d ]'] } }",
        ),
        code: app("await probeHeartbeat(probes, { directory: '/run/app' });"),
        finds: ['heartbeat-directory'],
      },
      'nothing in a shell that only uses what it has itself': {
        manifest: pod(
          "livenessProbe: { exec: { command: [sh, -c, 'read u _ </proc/uptime; read d </run/app/live && [ ${u%.*} -le $d ]'] } }",
        ),
        finds: [],
      },
      'nothing in a shell that hands itself over': {
        manifest: pod("livenessProbe: { exec: { command: [sh, -c, 'exec pg_isready -U app'] } }"),
        finds: [],
      },
      'a shell that starts a child': {
        manifest: pod("livenessProbe: { exec: { command: [bash, -ec, 'curl -f localhost | grep ok'] } }"),
        finds: ['exec-shell-children'],
      },
      'a package manager as a probe': {
        manifest: pod('livenessProbe: { exec: { command: [npx, koa-probes, probe, --live] }, timeoutSeconds: 5 }'),
        finds: ['exec-cost'],
      },
      'Node.js every second': {
        manifest: pod('readinessProbe: { exec: { command: [node, probe.js] }, periodSeconds: 1, timeoutSeconds: 5 }'),
        finds: ['exec-cost'],
      },
      'too little time for the start of Node.js': {
        manifest: pod('readinessProbe: { exec: { command: [node, probe.js] } }'),
        finds: ['exec-timeout'],
      },
      'a probe without a handler': { manifest: pod('livenessProbe: { periodSeconds: 10 }'), finds: ['handler-count'] },
      'a successThreshold of 2 in readiness to be right': {
        manifest: pod('readinessProbe: { tcpSocket: { port: 1 }, successThreshold: 2 }'),
        finds: [],
      },
      'an unknown field of the pod': { manifest: pod('', 'terminationGracePeriod: 60'), finds: ['unknown-field'] },
      'liveness that gives up after one failure': {
        manifest: pod('livenessProbe: { tcpSocket: { port: 1 }, failureThreshold: 1 }'),
        finds: ['liveness-tight'],
      },
      'liveness that asks the same and is more tolerant to be right': {
        manifest: pod('livenessProbe: { tcpSocket: { port: 1 }, failureThreshold: 6 }\n      readinessProbe: { tcpSocket: { port: 1 } }'),
        finds: [],
      },
      'a delay beside a startup probe to be right': {
        manifest: pod('livenessProbe: { tcpSocket: { port: 1 }, initialDelaySeconds: 30 }\n      startupProbe: { tcpSocket: { port: 1 } }'),
        finds: [],
      },
      'a shell as PID 1 that hands itself over to be right': {
        manifest: pod("command: [sh, -c, 'cd /app && exec node server.js']"),
        finds: [],
      },
      'a shell as PID 1': { manifest: pod("command: ['/bin/sh', '-c']\n      args: ['node server.js']"), finds: ['pid1-shell'] },
      'nothing in what a path excludes': {
        manifest: pod(`livenessProbe: { httpGet: ${get("'/livez?exclude=slow'")} }`),
        code: app(SERVER, "probes.register({ name: 'slow', kinds: ['liveness'], timeoutMs: 5_000, failureThreshold: 3, check });"),
        finds: [],
      },
      'nothing about checks that a tcpSocket does not ask': {
        manifest: pod(`livenessProbe: { tcpSocket: { port: 9090 } }`),
        code: app(
          SERVER,
          "probes.register({ name: 'slow', kinds: ['liveness'], timeoutMs: 5_000, cacheMs: 60_000, failureThreshold: 3, check });",
        ),
        finds: [],
      },
      'a command that asks for another kind': {
        manifest: pod(
          "readinessProbe: { exec: { command: [koa-probes, probe, --live, --timeout, '4', --socket, /run/s] }, timeoutSeconds: 5 }",
        ),
        code: app("await probeServer(probes, { socket: '/run/s' });"),
        finds: ['wrong-kind'],
      },
      'a command that asks a port on which nobody listens': {
        manifest: pod(
          "livenessProbe: { exec: { command: [koa-probes, probe, --live, --timeout, '4', --url, 'http://127.0.0.1:9091'] }, timeoutSeconds: 5 }",
        ),
        code: app(SERVER),
        finds: ['port-not-served'],
      },
      'nothing if the pod sets the port that the code reads': {
        manifest: pod(`env: [{ name: PROBES_PORT, value: '9444' }]\n      livenessProbe: { httpGet: ${get('/livez', 9444)} }`),
        code: app('await probeServer(probes, { port: Number(process.env.PROBES_PORT ?? 9090) });'),
        finds: [],
      },
      'nothing in zeros, which Kubernetes replaces': {
        manifest: pod('livenessProbe: { tcpSocket: { port: 1 }, successThreshold: 0, failureThreshold: 0, periodSeconds: 0 }'),
        finds: [],
      },
      'the right timeout of a command in a shell with quotes': {
        manifest: pod(
          `livenessProbe: { exec: { command: [sh, -c, "exec koa-probes probe --live --timeout '4' --socket '/run/s'"] }, timeoutSeconds: 4 }`,
        ),
        finds: ['exec-timeout'],
      },
      'nothing in a shell that waits for signals itself': {
        manifest: pod("command: [sh, -c, 'trap stop TERM; node server.js & wait']"),
        finds: [],
      },
      'nothing in a bash that executes its only command in its own place': {
        manifest: pod("command: [bash, -c, 'node server.js']"),
        finds: [],
      },
      'nothing in an exec within a condition': { manifest: pod("command: [sh, -c, 'if [ -f x ]; then exec node a.js; fi']"), finds: [] },
      'a budget of zero': {
        manifest: `${pod('')}---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: { name: shop }\nspec: { maxUnavailable: 0, selector: { matchLabels: { app: shop } } }\n`,
        finds: ['pdb-blocks'],
      },
      'nothing in a Service of another namespace': {
        manifest: `${pod('')}---\napiVersion: v1\nkind: Service\nmetadata: { name: shop, namespace: other }\nspec: { selector: { app: shop } }\n`,
        finds: [],
      },
    };
    for (const [index, [name, { manifest, code, finds }]] of Object.entries(cases).entries()) {
      it(name, async () => {
        const file = write(`case-${String(index)}.yaml`, manifest);
        const module = code === undefined ? [] : ['--app', write(`case-${String(index)}.mjs`, code)];
        expect(rulesOf(await lintJson(file, ...module))).to.deep.equal(finds);
      });
    }

    it('the application among several containers by what they are asked for, or by --container', async () => {
      const file = write(
        'several.yaml',
        `${pod('livenessProbe: { httpGet: { path: /wrong, port: 8080 } }')}    - name: other\n      image: example/other:1\n      livenessProbe: { httpGet: { path: /readyz, port: 9090 } }\n`,
      );
      const module = ['--app', write('several.mjs', app(SERVER))];
      const [own] = await lintJson(file, ...module);
      expect(own).to.include({ rule: 'wrong-kind', line: 12 });
      const [named] = await lintJson(file, ...module, '--container', 'shop');
      expect(named).to.include({ rule: 'port-not-served', line: 9 });
    });
  });

  describe('of other objects', () => {
    const deployment = (spec: string, pod = '') => `apiVersion: apps/v1
kind: Deployment
metadata: { name: shop }
spec:
  ${spec}
  template:
    metadata: { labels: { app: shop } }
    spec:
      ${pod}
      containers: [{ name: shop, image: example/shop:1, readinessProbe: { tcpSocket: { port: 1 } } }]
---
apiVersion: v1
kind: Service
metadata: { name: shop }
spec: { selector: { app: shop } }
---
`;
    const budget = (spec: string) => `apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: { name: shop }\nspec: { ${spec} }\n`;
    const labels = 'selector: { matchLabels: { app: shop } }';
    const scaler =
      'apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: { name: shop }\nspec: { minReplicas: 3, scaleTargetRef: { kind: Deployment, name: shop } }\n---\n';
    const cases: Record<string, [string, string[]]> = {
      'a budget that needs all replicas': [deployment('replicas: 2') + budget(`minAvailable: 2, ${labels}`), ['pdb-blocks']],
      'a budget in percent, which is rounded up': [deployment('replicas: 3') + budget(`minAvailable: 70%, ${labels}`), ['pdb-blocks']],
      'nothing in a budget that leaves one': [deployment('replicas: 3') + budget(`minAvailable: 50%, ${labels}`), []],
      'nothing in a budget if an autoscaler keeps more': [deployment('replicas: 1') + scaler + budget(`minAvailable: 2, ${labels}`), []],
      'nothing in a budget if the replicas are not known': [deployment('') + budget(`minAvailable: 1, ${labels}`), []],
      'nothing in a budget of no replicas': [deployment('replicas: 0') + budget(`minAvailable: 1, ${labels}`), []],
      'nothing in a budget with more than labels': [
        deployment('replicas: 1') +
          budget('minAvailable: 1, selector: { matchLabels: { app: shop }, matchExpressions: [{ key: tier, operator: Exists }] }'),
        [],
      ],
      'a rollout that recreates': [deployment('strategy: { type: Recreate }'), ['rollout-loses']],
      'nothing in one that must, for its volume': [
        deployment('strategy: { type: Recreate }', 'volumes: [{ name: data, persistentVolumeClaim: { claimName: data } }]'),
        [],
      ],
      'a rollout of one pod without a second': [
        deployment('replicas: 1\n  strategy: { rollingUpdate: { maxSurge: 0 } }'),
        ['rollout-loses'],
      ],
      'a rollout that never ends': [deployment('minReadySeconds: 600'), ['rollout-loses']],
      'HTTP/2 by the protocol of its Service': [
        `apiVersion: v1\nkind: Pod\nmetadata: { name: shop, labels: { app: shop } }\nspec: { containers: [{ name: shop, image: x, readinessProbe: { httpGet: { path: /, port: 8080 } } }] }\n---\napiVersion: v1\nkind: Service\nmetadata: { name: shop }\nspec: { selector: { app: shop }, ports: [{ port: 80, targetPort: 8080, appProtocol: kubernetes.io/h2c }] }\n`,
        ['h2c-httpget'],
      ],
    };
    for (const [index, [name, [manifest, finds]]] of Object.entries(cases).entries()) {
      it(`finds ${name}`, async () => {
        expect(rulesOf(await lintJson(write(`objects-${String(index)}.yaml`, manifest)))).to.deep.equal(finds);
      });
    }
  });

  describe('never is green without having looked', () => {
    const SERVED =
      "import { ProbeRegistry, probeServer } from 'koa-probes';\nexport const probes = new ProbeRegistry({ logger: false });\nawait probeServer(probes, { port: 9090 });";
    const two = ['a', 'b']
      .map(
        (name) =>
          `apiVersion: v1\nkind: Pod\nmetadata: { name: ${name} }\nspec: { containers: [{ name: ${name}, image: x, livenessProbe: { httpGet: { path: /healthz, port: 8080 } } }] }\n`,
      )
      .join('---\n');

    it('says that there was no workload', async () => {
      const file = write('service.yaml', 'apiVersion: v1\nkind: Service\nmetadata: { name: shop }\n');
      expect(await runCommand(['lint', file])).to.deep.include({ code: 0, stdout: 'Nothing was checked: the files have no workload.\n' });
    });

    const cases: Record<string, { text: string; args?: string[]; says: RegExp }> = {
      'a file of values': { text: 'image: shop\nreplicas: 2\n', says: /has no object of Kubernetes/ },
      'a template of Helm that is valid YAML': {
        text: 'apiVersion: v1\nkind: Pod\nmetadata: { name: shop }\nspec: { containers: [{ name: shop, image: "{{ .Values.image }}" }] }\n',
        says: /pipe `helm template`/,
      },
      'a name of a container that is not there': {
        text: two,
        args: ['--container', 'c'],
        says: /No container is named "c"\. Their names are a, b\./,
      },
      'several containers of which none asks the application': {
        text: two,
        says: /None of the containers can be told to run the application/,
      },
      'aliases that refer to themselves': {
        text: 'apiVersion: v1\nkind: Pod\nspec: &x { containers: [*x] }\n',
        says: /refer to themselves/,
      },
    };
    for (const [index, [name, { text, args = [], says }]] of Object.entries(cases).entries()) {
      it(`refuses ${name}`, async () => {
        const file = write(`blind-${String(index)}.yaml`, text);
        const { code, stderr, stdout } = await runCommand(['lint', file, '--app', write('served.mjs', SERVED), ...args]);
        expect([code, stdout]).to.deep.equal([2, '']);
        expect(stderr).to.match(says);
      });
    }
  });

  describe('--fix', () => {
    it('writes JSON as JSON', async () => {
      const file = write(
        'pod.json',
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: 'shop' },
          spec: {
            containers: [
              { name: 'shop', image: 'x', livenessProbe: { exec: { command: ['node', 'x.js'] }, periodSecond: 30, successThreshold: 3 } },
            ],
          },
        }),
      );
      expect(await lintJson(file, '--fix')).to.deep.equal([]);
      const { spec } = JSON.parse(readFileSync(file, 'utf8')) as { spec: { containers: [{ livenessProbe: object }] } };
      expect(spec.containers[0].livenessProbe).to.deep.equal({
        timeoutSeconds: 5,
        exec: { command: ['node', 'x.js'] },
        periodSeconds: 30,
        successThreshold: 1,
      });
    });

    it('leaves alone what other places share', async () => {
      const text =
        'apiVersion: v1\nkind: Pod\nmetadata: { name: shop }\nspec:\n  containers:\n    - name: shop\n      image: x\n      livenessProbe: &probe\n        exec: { command: [node, x.js] }\n      readinessProbe: *probe\n';
      const file = write('shared.yaml', text);
      expect(rulesOf(await lintJson(file, '--fix'))).to.deep.equal(['exec-timeout', 'exec-timeout', 'same-probe']);
      expect(readFileSync(file, 'utf8')).to.equal(text);
    });

    it('mends what is mechanical, changes no other line, and leaves nothing of it to find', async () => {
      for (const file of files) {
        const copy = join(folder, `fixed-${file.slice(fixtures.length + 1)}`);
        copyFileSync(file, copy);
        const before = (await lintJson(copy, ...appOf(file))).filter(({ isFixable }) => isFixable);
        const left = await lintJson(copy, ...appOf(file), '--fix');
        expect(left.filter(({ isFixable }) => isFixable)).to.deep.equal([]);
        const [old, mended] = [file, copy].map((one) => readFileSync(one, 'utf8').split('\n'));
        const changed = mended!.filter((line) => !old!.includes(line));
        expect(changed.length, copy).to.be.at.most(before.length);
        expect(parseAllDocuments(mended!.join('\n')).length).to.equal(parseAllDocuments(old!.join('\n')).length);
      }
    });

    it('keeps comments, quotes, anchors and the layout', async () => {
      const file = write(
        'layout.yaml',
        `apiVersion: v1\nkind: Pod # a pod\nmetadata: {name:   "shop"}\nspec:\n    containers:\n    -   name: shop\n        image: 'shop:1'\n        livenessProbe: { tcpSocket: {port: 1}, successThreshold: 2 } # tight\n        readinessProbe:\n            # slow\n            exec: {command: [node, probe.js]}\n`,
      );
      await runCommand(['lint', '--fix', file]);
      expect(readFileSync(file, 'utf8')).to.equal(
        `apiVersion: v1\nkind: Pod # a pod\nmetadata: {name:   "shop"}\nspec:\n    containers:\n    -   name: shop\n        image: 'shop:1'\n        livenessProbe: { tcpSocket: {port: 1}, successThreshold: 1 } # tight\n        readinessProbe:\n            # slow\n            timeoutSeconds: 5\n            exec: {command: [node, probe.js]}\n`,
      );
    });

    it('is refused for the standard input', async () => {
      expect(await runCommand(['lint', '--fix', '-'])).to.deep.include({ code: 2, stdout: '' });
    });
  });

  describe('the command', () => {
    const bad = join(fixtures, '03-refused.yaml');

    it('says where each fault is, which rule found it, and ends with 1', async () => {
      const { code, stdout, stderr } = await runCommand(['lint', bad]);
      expect([code, stderr]).to.deep.equal([1, '']);
      expect(stdout).to.include(
        `${bad}:23:31 error success-threshold (StatefulSet queue): successThreshold of startupProbe must be 1, and it is 3.`,
      );
      expect(stdout).to.include('Did you mean `failureThreshold`?');
    });

    it('ends with 0 if there are warnings alone', async () => {
      expect((await runCommand(['lint', join(fixtures, '04-helm.yaml')])).code).to.equal(0);
    });

    it('takes the severity of a rule from --rule, and off from a comment in the file', async () => {
      const off = ['handler-count=off', 'success-threshold=warn', 'unknown-field=off'].flatMap((rule) => ['--rule', rule]);
      expect(await lintJson(bad, ...off)).to.have.length(1);
      expect((await runCommand(['lint', bad, ...off])).code).to.equal(0);
      const file = write('off.yaml', `# koa-probes-lint: off handler-count, unknown-field\n${readFileSync(bad, 'utf8')}`);
      expect(rulesOf(await lintJson(file))).to.deep.equal(['success-threshold']);
    });

    it('reads the standard input', async () => {
      const child = start('sh', ['-c', `cat "$1" | "${process.execPath}" "${projectPath('dist/cli/bin.cjs')}" lint -`, 'sh', bad]);
      await new Promise((resolve) => child.process.once('close', resolve));
      expect(child.process.exitCode).to.equal(1);
      expect(child.output()).to.include('<stdin>:23:31 error success-threshold');
    });

    it('writes annotations for GitHub', async () => {
      const { stdout } = await runCommand(['lint', bad, '--format', 'github']);
      expect(stdout.split('\n')[0]).to.match(
        /^::error file=.*03-refused\.yaml,line=23,col=31,endLine=23,title=success-threshold::successThreshold of/,
      );
    });

    it('writes SARIF 2.1.0', async () => {
      const { stdout } = await runCommand(['lint', bad, '--format', 'sarif']);
      const { version, runs } = JSON.parse(stdout) as {
        version: string;
        runs: [
          {
            tool: { driver: { rules: { id: string }[] } };
            results: { ruleId: string; ruleIndex: number; level: string; locations: object[] }[];
          },
        ];
      };
      expect(version).to.equal('2.1.0');
      for (const { ruleId, ruleIndex, level, locations } of runs[0].results) {
        expect(runs[0].tool.driver.rules[ruleIndex]?.id).to.equal(ruleId);
        expect(level).to.equal('error');
        expect(locations).to.have.length(1);
      }
    });

    const refused: Record<string, { args: string[]; says: RegExp; text?: string }> = {
      'no files': { args: [], says: /needs files, or `-`/ },
      'a file that is not there': { args: ['/nowhere.yaml'], says: /\/nowhere\.yaml cannot be read: ENOENT/ },
      'an unknown rule': { args: [bad, '--rule', 'path-unknown=off'], says: /There is no rule "path-unknown"/ },
      'an unknown severity': { args: [bad, '--rule', 'pdb-blocks=fatal'], says: /off, warn, error/ },
      'an unknown format': { args: [bad, '--format', 'xml'], says: /--format is "xml"/ },
      'an unknown option': { args: [bad, '--strict'], says: /--strict/ },
      'a file that is no YAML': { args: [], text: 'a: [1\nb: }', says: /refused-\d+\.yaml:\d+:\d+: it is not valid YAML/ },
      'a template of Helm': {
        args: [],
        text: 'kind: Pod\nmetadata:\n  name: {{ .Values.name }}\n  {{- if .Values.x }}\n  x: y\n  {{- end }}\n',
        says: /pipe `helm template`/,
      },
      'an unknown rule in a comment': {
        args: [],
        text: '# koa-probes-lint: off nonsense\n',
        says: /There is no rule "nonsense", but a comment in/,
      },
    };
    for (const [index, [name, { args, text, says }]] of Object.entries(refused).entries()) {
      it(`refuses ${name} with 2`, async () => {
        const given = text === undefined ? [] : [write(`refused-${String(index)}.yaml`, text)];
        const { code, stdout, stderr } = await runCommand(['lint', ...given, ...args]);
        expect([code, stdout]).to.deep.equal([2, '']);
        expect(stderr).to.match(says);
      });
    }

    it('runs no probe of the application, and says what is wrong with it', async () => {
      const { code, stderr } = await runCommand(['lint', bad, '--app', write('broken.mjs', 'throw new Error("no database");')]);
      expect(code).to.equal(1);
      expect(stderr).to.include('no database');
    });
  });

  it('knows the fields that the published schema has', async () => {
    const { FIELDS } = (await import(projectPath('dist/kubernetes/lint/fields.js'))) as { FIELDS: Readonly<Record<string, string>> };
    const models = dirname(createRequire(import.meta.url).resolve('kubernetes-models/package.json'));
    for (const [owner, fields] of Object.entries(FIELDS)) {
      const declaration = readFileSync(join(models, 'v1', `${owner}.d.ts`), 'utf8');
      const known = [...declaration.matchAll(/^ {4}"(\w+)"\??:/gm)].map(([, name]) => name);
      expect(known.length, owner).to.be.above(0);
      expect(
        known.filter((name) => !fields.split(' ').includes(name!)),
        owner,
      ).to.deep.equal([]);
    }
  });

  it('has a section for each rule, with its reason', async () => {
    const { RULES } = (await import(projectPath('dist/kubernetes/lint/lint.js'))) as {
      RULES: readonly { name: string; reason: string; severity: string }[];
    };
    const page = readFileSync(projectPath('docs', 'lint.md'), 'utf8');
    for (const { name, reason, severity } of RULES)
      expect(page).to.include(`### ${name}\n\n_${severity === 'warn' ? 'Warning' : 'Error'}._ ${reason}`);
  });
});
