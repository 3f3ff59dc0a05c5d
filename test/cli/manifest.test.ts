import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { build } from 'esbuild';
import { parse } from 'yaml';
import { runCommand } from '../support/command.js';
import { projectPath } from '../support/consumer.js';

interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: number; readonly scheme?: string };
  readonly exec?: { readonly command: readonly string[] };
  readonly periodSeconds: number;
  readonly timeoutSeconds: number;
  readonly failureThreshold: number;
}

interface Container {
  readonly name: string;
  readonly ports?: readonly object[];
  readonly env?: readonly { readonly name: string; readonly value: string }[];
  readonly lifecycle?: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
  readonly startupProbe: Probe;
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly volumeMounts?: readonly object[];
}

interface Pod {
  readonly terminationGracePeriodSeconds: number;
  readonly containers: readonly [Container];
  readonly volumes?: readonly object[];
}

/** A module that exports `probes`, and sets up what answers them. */
const app = (setup: string, ...probes: readonly string[]) => `
  import { createServer } from 'node:http';
  import { gracefulShutdown, probeHeartbeat, probeMiddleware, ProbeRegistry, probeServer } from 'koa-probes';
  import { probeRouter, probeView } from 'koa-probes/router';
  export const probes = new ProbeRegistry({ logger: false });
  const check = () => { throw new Error('The check was run.'); };
  ${probes.map((probe) => `probes.register({ check, ${probe} });`).join('\n')}
  ${setup}
`;

const SERVICE = `
  probeMiddleware(probes);
  gracefulShutdown(createServer(), probes);
  await probeServer(probes, { port: 9090 });
`;

/** What is CommonJS in a bundle needs it. */
const REQUIRE = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";

describe('koa-probes manifest', () => {
  let folder: string;
  // In the project, where the packages are found that an application has.
  beforeEach(() => (folder = mkdtempSync(projectPath('build', 'manifest-'))));
  afterEach(() => rmSync(folder, { recursive: true }));

  const manifest = (source: string, ...args: readonly string[]) => {
    writeFileSync(join(folder, 'app.mjs'), source);
    return runCommand(['manifest', '--app', './app.mjs', ...args], { cwd: folder });
  };
  const print = async (source: string, ...args: readonly string[]) => {
    const { code, stdout, stderr } = await manifest(source, ...args);
    expect([code, stderr]).to.deep.equal([0, '']);
    return stdout;
  };
  const read = async (source: string, ...args: readonly string[]) => {
    const pod = parse(await print(source, ...args)) as Pod;
    return { pod, container: pod.containers[0] };
  };
  /** The comment in the line of a field, of the last one of that name that is printed. */
  const noteOf = (text: string, field: string) => [...text.matchAll(new RegExp(`^ *${field}: .*# (.*)$`, 'gm'))].at(-1)?.[1];

  it('prints the spec of the probes and of the shutdown, each number with its arithmetic', async () => {
    const probes = ["name: 'search', kinds: ['readiness'], timeoutMs: 1_500", "name: 'memory', kinds: ['liveness'], failureThreshold: 2"];
    expect(await print(app(SERVICE, ...probes), '--port', '3000')).to.equal(`# Made by: koa-probes manifest --app ./app.mjs --port 3000
# Of the spec of a pod: \`spec.template.spec\` of a Deployment.

terminationGracePeriodSeconds: 30 # 25 s for the shutdown + 5 s to spare
containers:
  - name: app
    ports:
      - { name: http, containerPort: 3000 }
      - { name: probes, containerPort: 9090 }
    env:
      - { name: TERMINATION_GRACE_PERIOD_SECONDS, value: '30' } # for gracefulShutdown()
    startupProbe:
      httpGet:
        path: /startupz
        port: 9090
        httpHeaders:
          - { name: X-Kubernetes-Probe, value: startup }
      periodSeconds: 2
      timeoutSeconds: 1 # no startup probe to wait for: 100 ms to answer
      failureThreshold: 30 # 60 s to start: 2 s × 30
    livenessProbe:
      httpGet:
        path: /livez
        port: 9090
        httpHeaders:
          - { name: X-Kubernetes-Probe, value: liveness }
      periodSeconds: 10
      timeoutSeconds: 1 # the slowest liveness probe, memory, has 800 ms, and 100 ms to answer
      failureThreshold: 3 # restarted after 40 s: 10 s × 3, and 1 more by the failureThreshold of a probe
    readinessProbe:
      httpGet:
        path: /readyz
        port: 9090
        httpHeaders:
          - { name: X-Kubernetes-Probe, value: readiness }
      periodSeconds: 2
      timeoutSeconds: 2 # the slowest readiness probe, search, has 1.5 s, and 100 ms to answer
      failureThreshold: 1 # 2 s × 1 + 2 s until proxies know = 4 s, within the drain of 5 s
`);
  });

  it('runs no probe, listens on nothing and writes no heartbeat', async () => {
    const source = app(
      `${SERVICE} await probeServer(probes, { socket: './probes.sock' }); probeHeartbeat(probes, { directory: './heartbeat' });`,
      "name: 'search', kinds: ['readiness'], intervalMs: 1",
    );
    await print(source);
    expect(readdirSync(folder)).to.deep.equal(['app.mjs']);
  });

  it('reads an application that is bundled and minified with a copy of the package of its own', async () => {
    const source = app(
      `${SERVICE} probeHeartbeat(probes, { directory: '/proc/none' });`,
      "name: 'search', kinds: ['readiness'], intervalMs: 1",
    );
    writeFileSync(join(folder, 'source.mjs'), source);
    const outfile = join(folder, 'app.mjs');
    await build({
      entryPoints: [join(folder, 'source.mjs')],
      outfile,
      bundle: true,
      minify: true,
      platform: 'node',
      format: 'esm',
      banner: { js: REQUIRE },
    });
    const { code, stdout, stderr } = await runCommand(['manifest', '--app', './app.mjs', '--port', '3000'], { cwd: folder });
    expect([code, stderr]).to.deep.equal([0, '']);
    expect((parse(stdout) as Pod).containers[0].readinessProbe.httpGet?.port).to.equal(9090);
  });

  it('reads an application of CommonJS', async () => {
    writeFileSync(
      join(folder, 'app.cjs'),
      `const { probeMiddleware, ProbeRegistry } = require('koa-probes');
      const probes = new ProbeRegistry();
      probeMiddleware(probes);
      module.exports = { probes };`,
    );
    const { code, stdout } = await runCommand(['manifest', '--app', './app.cjs', '--port', '3000'], {
      cwd: folder,
      flags: ['--no-warnings'],
    });
    expect([code, (parse(stdout) as Pod).containers[0].livenessProbe.httpGet?.port]).to.deep.equal([0, 3000]);
  });

  describe('asks the application where it answers', () => {
    it('on its own port, where it has no other', async () => {
      const source = app(
        "probeMiddleware(probes, { paths: { readiness: ['/ready', '/warm'] } }); gracefulShutdown(createServer(), probes);",
      );
      const { container } = await read(source, '--port', '3000');
      expect(container.ports).to.deep.equal([{ name: 'http', containerPort: 3000 }]);
      expect(container.readinessProbe.httpGet).to.deep.include({ path: '/ready', port: 3000 });
      expect(container.livenessProbe.httpGet).to.deep.include({ path: '/livez', port: 3000 });
    });

    it('on the port on which its server listens, which may be taken: by the application itself', async () => {
      const running = await new Promise<Server>((resolve) => {
        const server: Server = createServer().listen(0, () => resolve(server));
      });
      const { port } = running.address() as AddressInfo;
      for (const args of ['PORT', "{ port: 'PORT', host: '::' }", "'PORT', () => {}", "PORT, '0.0.0.0'"]) {
        const source = app(`
          probeMiddleware(probes);
          const server = createServer();
          gracefulShutdown(server, probes);
          const listening = new Promise((resolve) => server.once('listening', resolve));
          server.listen(${args.replace('PORT', String(port))});
          await listening;
          if (!server.listening) throw new Error('It does not listen.');
        `);
        const { container } = await read(source);
        expect(container.livenessProbe.httpGet?.port).to.equal(port);
        expect(container.ports).to.deep.equal([{ name: 'http', containerPort: port }]);
      }
      running.close();
    });

    it('by HTTPS, where its server speaks that', async () => {
      const source = app(
        "import { createServer as createSecure } from 'node:https'; probeMiddleware(probes); gracefulShutdown(createSecure(), probes);",
      );
      const { container } = await read(source, '--port', '8443');
      expect(container.livenessProbe.httpGet).to.deep.include({ port: 8443, scheme: 'HTTPS' });
    });

    it('behind the prefix of its router, and says that there may be another one', async () => {
      const text = await print(app("probeRouter(probes).prefix('/internal');"), '--port', '3000');
      expect(text).to.include('path: /internal/readyz # behind the prefix at which probeRouter() is mounted in another router\n');
    });

    it('kind by kind, where no answerer has all of them', async () => {
      const source = app('probeMiddleware(probes); await probeServer(probes, { port: 9090, paths: { readiness: [] } });');
      const { container } = await read(source, '--port', '3000');
      expect([container.livenessProbe.httpGet?.port, container.readinessProbe.httpGet?.port]).to.deep.equal([9090, 3000]);
    });

    it('by a command on its socket, in a volume in memory, where it has no port', async () => {
      const socket = "await probeServer(probes, { socket: '/run/app/probes.sock' }); gracefulShutdown([], probes, { timeoutMs: 55_000 });";
      const { pod, container } = await read(app(socket));
      expect(container.readinessProbe).to.deep.equal({
        exec: { command: ['/app/node_modules/.bin/koa-probes', 'probe', '--ready', '--timeout', '4', '--socket', '/run/app/probes.sock'] },
        periodSeconds: 2,
        timeoutSeconds: 5,
        failureThreshold: 1,
      });
      expect(container.volumeMounts).to.deep.equal([{ name: 'probes', mountPath: '/run/app' }]);
      expect(pod.volumes).to.deep.equal([{ name: 'probes', emptyDir: { medium: 'Memory' } }]);
      expect(container).not.to.have.any.keys('ports', 'lifecycle');
      expect([pod.terminationGracePeriodSeconds, container.env]).to.deep.equal([
        60,
        [{ name: 'TERMINATION_GRACE_PERIOD_SECONDS', value: '60' }],
      ]);
    });

    it('by a command on its heartbeat, which does not wait for the checks', async () => {
      const source = app("probeHeartbeat(probes, { directory: '/run/app' });", "name: 'slow', kinds: ['liveness'], timeoutMs: 60_000");
      const { container } = await read(source);
      expect(container.livenessProbe).to.deep.include({
        exec: { command: ['/app/node_modules/.bin/koa-probes', 'probe', '--live', '--timeout', '4', '--heartbeat', '/run/app'] },
        timeoutSeconds: 5,
      });
    });

    it('by a command with --exec: by the socket, else the heartbeat, else the loopback address', async () => {
      const wayOf = async (setup: string, ...args: readonly string[]) => {
        const { container } = await read(app(setup), '--exec', ...args);
        return container.livenessProbe.exec?.command.slice(-2);
      };
      const heartbeat = "probeHeartbeat(probes, { directory: '/run/app' });";
      const socket = "await probeServer(probes, { socket: '/run/app/probes.sock' });";
      expect(await wayOf(SERVICE + heartbeat + socket)).to.deep.equal(['--socket', '/run/app/probes.sock']);
      expect(await wayOf(SERVICE + heartbeat)).to.deep.equal(['--heartbeat', '/run/app']);
      expect(await wayOf(SERVICE)).to.deep.equal(['--url', 'http://127.0.0.1:9090']);
      expect(await wayOf("probeRouter(probes).prefix('/internal');", '--port', '3000')).to.deep.equal([
        '--url',
        'http://127.0.0.1:3000/internal',
      ]);
    });

    it('by a command, where the kubelet cannot reach the port', async () => {
      const { container } = await read(app("await probeServer(probes, { port: 9090, host: '127.0.0.1' });"));
      expect(container.livenessProbe.exec?.command).to.include.members(['--url', 'http://127.0.0.1:9090']);
    });

    it('where the command line says, for a module that sets up the probes alone', async () => {
      const socket = await read(app(''), '--socket', '/run/other/probes.sock', '--command', '/nodejs/bin/node /app/koa-probes.cjs');
      expect(socket.container.startupProbe.exec?.command).to.deep.equal(
        '/nodejs/bin/node /app/koa-probes.cjs probe --startup --timeout 4 --socket /run/other/probes.sock'.split(' '),
      );
      const heartbeat = await read(app(SERVICE), '--heartbeat', '/run/other');
      expect(heartbeat.container.volumeMounts).to.deep.equal([{ name: 'probes', mountPath: '/run/other' }]);
    });
  });

  describe('reckons', () => {
    it('timeoutSeconds from the slowest probe for which the answer waits', async () => {
      const text = await print(
        app(
          SERVICE,
          "name: 'exact', kinds: ['startup'], timeoutMs: 1_901",
          "name: 'quick', kinds: ['readiness'], timeoutMs: 900",
          "name: 'background', kinds: ['readiness'], timeoutMs: 5_000, intervalMs: 10_000",
        ),
      );
      const { containers } = parse(text) as Pod;
      expect(containers[0].startupProbe.timeoutSeconds).to.equal(3);
      expect(containers[0].readinessProbe.timeoutSeconds).to.equal(1);
      expect(noteOf(text, 'timeoutSeconds')).to.equal('the slowest readiness probe, quick, has 900 ms, and 100 ms to answer');
    });

    it('the timeout of a command from the slowest probe, and a second more for the kubelet', async () => {
      const text = await print(app(SERVICE, "name: 'slow', kinds: ['readiness'], timeoutMs: 8_000"), '--exec');
      const { readinessProbe } = (parse(text) as Pod).containers[0];
      expect(readinessProbe.exec?.command).to.include.members(['--timeout', '9']);
      expect(readinessProbe.timeoutSeconds).to.equal(10);
      expect(noteOf(text, 'timeoutSeconds')).to.equal(
        '9 s for the command + 1 s to start it: the slowest readiness probe, slow, has 8 s, and 100 ms to answer',
      );
    });

    const drains: [number, number, number, string][] = [
      [12_000, 2, 3, '2 s × 3 + 2 s until proxies know = 8 s, within the drain of 12 s'],
      [6_500, 2, 2, '2 s × 2 + 2 s until proxies know = 6 s, within the drain of 6.5 s'],
      [4_000, 2, 1, '2 s × 1 + 2 s until proxies know = 4 s, within the drain of 4 s'],
      [3_000, 1, 1, '1 s × 1 + 2 s until proxies know = 3 s, within the drain of 3 s'],
      [1_000, 1, 1, '1 s × 1 + 2 s until proxies know = 3 s, longer than the drain of 1 s: set drainDelayMs to 3000'],
    ];
    for (const [drainDelayMs, periodSeconds, failureThreshold, note] of drains) {
      it(`readiness from a drain of ${String(drainDelayMs)} ms`, async () => {
        const setup = `gracefulShutdown(createServer(), probes, { drainDelayMs: ${String(drainDelayMs)} }); await probeServer(probes, { port: 9090 });`;
        const text = await print(app(setup));
        expect((parse(text) as Pod).containers[0].readinessProbe).to.deep.include({ periodSeconds, failureThreshold });
        expect(noteOf(text, 'failureThreshold')).to.equal(note);
      });
    }

    it('the time to start that it is given', async () => {
      const { container } = await read(app(SERVICE), '--startup-seconds', '121');
      expect(container.startupProbe).to.deep.include({ periodSeconds: 2, failureThreshold: 61 });
    });

    it('a preStop hook in place of a drain that the application does not have, within the grace period', async () => {
      const server = 'probeMiddleware(probes); gracefulShutdown(createServer(), probes, { drainDelayMs: 0 });';
      const text = await print(app(server), '--port', '3000');
      const pod = parse(text) as Pod;
      const [{ lifecycle, env }] = pod.containers;
      expect(lifecycle).to.deep.equal({ preStop: { sleep: { seconds: 5 } } });
      expect(pod.terminationGracePeriodSeconds).to.equal(35);
      expect(env).to.deep.equal([{ name: 'TERMINATION_GRACE_PERIOD_SECONDS', value: '30' }]);
      expect(noteOf(text, 'terminationGracePeriodSeconds')).to.equal('5 s for preStop + 25 s for the shutdown + 5 s to spare');
    });

    it('a preStop hook, and says what else is lost, without gracefulShutdown()', async () => {
      const text = await print(app('probeMiddleware(probes);'), '--port', '3000');
      const pod = parse(text) as Pod;
      expect([pod.terminationGracePeriodSeconds, pod.containers[0].env]).to.deep.equal([30, undefined]);
      expect(pod.containers[0].lifecycle).to.deep.equal({ preStop: { sleep: { seconds: 5 } } });
      expect(text).to.match(/^terminationGracePeriodSeconds: 30 # .*there is no gracefulShutdown\(\)/m);
    });

    const graces: [string, number, string | undefined, string][] = [
      ['{ timeoutMs: 55_000 }', 60, '60', '55 s for the shutdown + 5 s to spare'],
      ['{ timeoutMs: 10_000 }', 30, '30', '10 s for the shutdown + 20 s to spare'],
      ['{ timeoutMs: 44_500 }', 50, '50', '44.5 s for the shutdown + 5.5 s to spare'],
      ['{ terminationGracePeriodSeconds: 12 }', 12, undefined, '10 s for the shutdown + 2 s to spare'],
      ['{ timeoutMs: 55_000, terminationGracePeriodSeconds: 60 }', 60, undefined, '55 s for the shutdown + 5 s to spare'],
      ['{ timeoutMs: 55_000, terminationGracePeriodSeconds: 40 }', 60, undefined, '55 s for the shutdown + 5 s to spare'],
    ];
    for (const [options, seconds, told, note] of graces) {
      it(`the grace period of a shutdown with ${options}`, async () => {
        const text = await print(app(`gracefulShutdown(createServer(), probes, ${options}); await probeServer(probes, { port: 9090 });`));
        const pod = parse(text) as Pod;
        expect([pod.terminationGracePeriodSeconds, pod.containers[0].env?.[0]?.value]).to.deep.equal([seconds, told]);
        expect(noteOf(text, 'terminationGracePeriodSeconds')).to.equal(note);
      });
    }

    it('the longest of several shutdowns', async () => {
      const both = 'gracefulShutdown(createServer(), probes, { timeoutMs: 40_000 }); gracefulShutdown([], probes, { timeoutMs: 90_000 });';
      const { pod, container } = await read(app(`${both} await probeServer(probes, { port: 9090 });`));
      expect([pod.terminationGracePeriodSeconds, container.env?.[0]?.value, container.lifecycle]).to.deep.equal([95, '95', undefined]);
    });
  });

  describe('--patch and --kustomize', () => {
    it('make a patch of a workload, which takes out other handlers and gives no names to ports', async () => {
      const patch = parse(await print(app(SERVICE), '--port', '3000', '--patch', 'statefulset/shop', '--container', 'web')) as {
        spec: { template: { spec: Pod } };
      };
      expect(patch).to.deep.include({ apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name: 'shop' } });
      const [container] = patch.spec.template.spec.containers;
      expect(container.name).to.equal('web');
      expect(container.ports).to.deep.equal([{ containerPort: 3000 }, { containerPort: 9090 }]);
      expect(container.readinessProbe).to.deep.equal({
        exec: null,
        tcpSocket: null,
        grpc: null,
        initialDelaySeconds: null,
        httpGet: {
          path: '/readyz',
          port: 9090,
          scheme: 'HTTP',
          host: null,
          httpHeaders: [{ name: 'X-Kubernetes-Probe', value: 'readiness' }],
        },
        periodSeconds: 2,
        timeoutSeconds: 1,
        failureThreshold: 1,
      });
    });

    it('make a component with the same patch in it, comments included', async () => {
      const args = ['deployment/shop', '--container', 'shop'];
      const component = parse(await print(app(SERVICE), '--kustomize', ...args)) as { patches: [{ patch: string; target: object }] };
      expect(component).to.deep.include({ apiVersion: 'kustomize.config.k8s.io/v1alpha1', kind: 'Component' });
      const [{ patch, target }] = component.patches;
      expect(target).to.deep.equal({ kind: 'Deployment', name: 'shop' });
      const [, ...lines] = (await print(app(SERVICE), '--patch', ...args)).split('\n');
      expect(patch.trim()).to.equal(lines.join('\n').trim());
      expect(patch).to.include('# 25 s for the shutdown + 5 s to spare');
    });
  });

  describe('exits with 1, and says the cure', () => {
    const failures: [string, string, RegExp][] = [
      [
        'nothing answers',
        app(''),
        /^koa-probes: Nothing is known that answers \w+ probes: the module calls none of .* `--socket` or `--heartbeat`\.\n$/,
      ],
      [
        'a view is mounted somewhere',
        app("probeView(probes, 'liveness');"),
        /probeView\(\) is mounted at a path that the registry is not told\. Call probeMiddleware/,
      ],
      [
        'its only port is 0',
        app('await probeServer(probes, { port: 0 });'),
        /`port` of probeServer\(\) is 0, which takes another port at each start\. Choose one/,
      ],
      [
        'its socket has a relative path',
        app("await probeServer(probes, { socket: './probes.sock' });"),
        /^koa-probes: The path of the socket is "\.\/probes\.sock", relative to the working directory\. .*: `--socket \/run\/app\/probes\.sock`\.\n$/,
      ],
      [
        'the port is not known',
        app('probeMiddleware(probes);'),
        /^koa-probes: The port of the application is not known: .* Say it: `--port 3000`\.\n$/,
      ],
      [
        'the server speaks HTTP/2 without TLS',
        app("import { createServer as createH2c } from 'node:http2'; probeMiddleware(probes); gracefulShutdown(createH2c(), probes);"),
        /speaks HTTP\/2 without TLS\. Call `await probeServer\(probes, \{ port: 9090 \}\)`\.\n$/,
      ],
      [
        'the module throws',
        "throw new Error('no DATABASE_URL');",
        /^koa-probes: the module \.\/app\.mjs cannot be imported \(Error\): no DATABASE_URL\n$/,
      ],
      [
        'the module throws later',
        app("setTimeout(() => { throw new Error('no DATABASE_URL'); }); await new Promise(() => {});"),
        /^koa-probes: the application has thrown an error outside its probes: no DATABASE_URL\. Export the probes from a module that does not start the application\.\n$/,
      ],
    ];
    for (const [what, source, message] of failures) {
      it(`where ${what}`, async () => {
        const { code, stdout, stderr } = await manifest(source);
        expect([code, stdout]).to.deep.equal([1, '']);
        expect(stderr).to.match(message);
      });
    }
  });

  describe('exits with 2', () => {
    const wrong: [readonly string[], RegExp][] = [
      [[], /`manifest` needs the module that sets up the probes: `--app \.\/dist\/app\.js`\./],
      [['--app'], /--app/],
      [['--app', 'x', '--prot', '3000'], /Unknown option '--prot'\. Known options: --app, --command, /],
      [['--app', 'x', 'y'], /Unexpected argument 'y'/],
      [['--app', 'x', '--port', '0'], /--port is "0", expected a whole number from 1 to 65535\./],
      [['--app', 'x', '--startup-seconds', '1.5'], /--startup-seconds is "1\.5"/],
      [['--app', 'x', '--exec', '--socket', '/s'], /--exec and --socket cannot be combined\. Use one of them\./],
      [
        ['--app', 'x', '--socket', 'probes.sock'],
        /--socket is "probes\.sock", expected an absolute path in the container: --socket \/run\/app\/probes\.sock\./,
      ],
      [
        ['--app', 'x', '--patch', 'deployment/a', '--kustomize', 'deployment/a', '--container', 'a'],
        /--patch and --kustomize cannot be combined/,
      ],
      [['--app', 'x', '--patch', 'deployment/a'], /adds a container if none has that name\. Set it, for example `--container app`\./],
      [
        ['--app', 'x', '--patch', 'job/a', '--container', 'a'],
        /--patch is "job\/a", expected a kind \(deployment, statefulset, daemonset\) and a name/,
      ],
      [['--app', 'x', '--container', 'A b'], /--container is "A b"/],
      [['--app', './missing.js'], /the module \.\/missing\.js was not found/],
    ];
    for (const [args, message] of wrong) {
      it(`for ${args.join(' ') || 'no arguments'}`, async () => {
        const { code, stdout, stderr } = await runCommand(['manifest', ...args], { cwd: folder });
        expect([code, stdout]).to.deep.equal([2, '']);
        expect(stderr)
          .to.match(message)
          .and.to.match(/^koa-probes: [^\n]+\n$/);
      });
    }
  });

  it('shows the help', async () => {
    for (const flag of ['--help', '-h']) {
      expect((await runCommand(['manifest', '--app', 'x', flag])).stdout).to.include('koa-probes manifest --app <module>');
    }
  });
});
