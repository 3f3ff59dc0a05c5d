import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { COMMAND, runCommand } from '../support/command.js';
import { projectPath } from '../support/consumer.js';
import { run, startNode, until } from '../support/processes.js';

const PATIENT = ['--timeout', '20'];

/** A module that exports `probes`, with the given checks. */
const withChecks = (...checks: readonly string[]) => `
  import { NotReady, ProbeRegistry } from 'koa-probes';
  export const probes = new ProbeRegistry({ logger: false });
  ${checks.map((check, index) => `probes.register({ name: 'check-${String(index)}', kinds: ['readiness'], check: ${check} });`).join('\n')}
`;

const PASSING = withChecks('() => {}');

const DISCOVERED = `
  import 'reflect-metadata';
  import { Container } from 'inversify';
  import { discoverProbes, LivenessProbe, ReadinessProbe, StartupProbe } from 'koa-probes';
  export class SearchProbe { check() {} }
  ReadinessProbe({ timeoutMs: 500, cacheMs: 0 })(SearchProbe);
  export class BacklogProbe { check() {} }
  LivenessProbe()(BacklogProbe);
  ReadinessProbe({ name: 'jobs' })(BacklogProbe);
  export const container = new Container();
  const probes = await discoverProbes(container, { logger: false, settings: { search: { cacheMs: 1000, intervalMs: undefined } } });
  probes.register({ name: 'disk', kinds: ['startup'], critical: false, timeoutMs: 800, check() {} });
`;

/** A module with a container that `discoverProbes` was not called for. Its probe sees whether the copy of the package that discovered it is that of the module. */
const UNDISCOVERED = `
  import 'reflect-metadata';
  import { Container } from 'inversify';
  import { NotReady, ProbeRegistry, ReadinessProbe } from 'koa-probes';
  class Target { failure = undefined; }
  export class SearchProbe {
    constructor(target) { this.target = target; }
    check() {
      if (!made.isBound(ProbeRegistry)) throw new NotReady('another copy');
      if (this.target.failure) throw new NotReady(this.target.failure);
    }
  }
  Reflect.defineMetadata('design:paramtypes', [Target], SearchProbe);
  ReadinessProbe()(SearchProbe);
  const made = new Container();
  const target = new Target();
  made.bind(Target).toConstantValue(target);
`;

describe('koa-probes', () => {
  let folder: string;
  // In the project, where the packages are found that an application has.
  beforeEach(() => (folder = mkdtempSync(projectPath('build', 'cli-app-'))));
  afterEach(() => rmSync(folder, { recursive: true }));

  const write = (file: string, source: string) => writeFileSync(join(folder, file), source);
  const probe = (source: string, ...args: readonly string[]) => {
    write('app.mjs', source);
    return runCommand(['probe', '--ready', '--app', './app.mjs', ...(args.includes('--timeout') ? [] : PATIENT), ...args], { cwd: folder });
  };

  /** Another copy of the package, for the modules of the folder. */
  const installCopy = () => {
    const copy = join(folder, 'node_modules', 'koa-probes');
    mkdirSync(copy, { recursive: true });
    cpSync(projectPath('dist'), join(copy, 'dist'), { recursive: true });
    cpSync(projectPath('package.json'), join(copy, 'package.json'));
    write('package.json', '{}');
  };

  describe('probe --app', () => {
    const modules: [string, string, string][] = [
      ['a registry', 'app.mjs', PASSING],
      ['a registry by default', 'app.mjs', `${PASSING.replace('export const', 'const')}; export default probes;`],
      ['a container', 'app.mjs', DISCOVERED],
      [
        'an asynchronous function that returns a container',
        'app.mjs',
        `${DISCOVERED.replace('export const container', 'const container')}; export default async () => container;`,
      ],
      [
        'a function that returns a registry',
        'app.mjs',
        `${PASSING.replace('export const', 'const')}; export const probes = () => registry;`
          .replace('const probes =', 'const registry =')
          .replaceAll('probes.register', 'registry.register'),
      ],
      [
        'a registry from CommonJS',
        'app.cjs',
        `const { ProbeRegistry } = require('koa-probes'); const exported = { container: () => new ProbeRegistry({ logger: false }) }; module.exports = exported;`,
      ],
    ];
    for (const [what, file, source] of modules) {
      it(`accepts a module that exports ${what}`, async () => {
        write(file, source);
        const result = await runCommand(['probe', '-R', '--app', file, ...PATIENT], { cwd: folder, flags: ['--no-warnings'] });
        expect(result).to.include({ code: 0, stdout: 'ok\n', stderr: '' });
      });
    }

    it('accepts the name of a package as seen from the working directory', async () => {
      mkdirSync(join(folder, 'node_modules', 'shop'), { recursive: true });
      write('node_modules/shop/package.json', '{ "name": "shop", "exports": { "./probes": "./probes.mjs" } }');
      write('app.mjs', PASSING);
      write('node_modules/shop/probes.mjs', "export * from '../../app.mjs';");
      expect((await runCommand(['probe', '-R', '--app', 'shop/probes', ...PATIENT], { cwd: folder })).code).to.equal(0);
    });

    it('accepts a container of another installed copy of the package', async () => {
      installCopy();
      const result = await probe(
        `${DISCOVERED}; if (!import.meta.resolve('koa-probes').includes('node_modules')) throw new Error('the same copy');`,
      );
      expect(result).to.include({ code: 0, stderr: '' });
    });

    describe('with a container that has no registry', () => {
      for (const [what, exporting] of [
        ['container', 'export { made as container };'],
        ['default', 'export default made;'],
        ['a function', 'export const probes = async () => made;'],
      ] as const) {
        it(`discovers its probes, exported as ${what}`, async () => {
          expect(await probe(UNDISCOVERED + exporting)).to.include({ code: 0, stdout: 'ok\n', stderr: '' });
          const failing = `${UNDISCOVERED} target.failure = 'shards are missing'; ${exporting}`;
          expect(await probe(failing)).to.include({ code: 1, stdout: '', stderr: '[-]search failed: shards are missing\n' });
        });
      }

      it("discovers them with the application's copy of the package", async () => {
        installCopy();
        expect(await probe(`${UNDISCOVERED} export { made as container };`)).to.include({ code: 0, stderr: '' });
        // As seen from the module itself, and not from a link to it.
        const elsewhere = mkdtempSync(projectPath('build', 'cli-link-'));
        try {
          symlinkSync(join(folder, 'app.mjs'), join(elsewhere, 'link.mjs'));
          expect((await runCommand(['probe', '-R', '--app', './link.mjs', ...PATIENT], { cwd: elsewhere })).code).to.equal(0);
        } finally {
          rmSync(elsewhere, { recursive: true });
        }
      });

      it('lists them', async () => {
        write('app.mjs', `${UNDISCOVERED} export { made as container };`);
        const { code, stdout } = await runCommand(['list', '--app', './app.mjs'], { cwd: folder });
        expect(code).to.equal(0);
        expect(stdout).to.match(/^search +readiness +SearchProbe +-$/m);
      });

      it('exits with 1 if they cannot be discovered, and list says why', async () => {
        const broken = UNDISCOVERED.replace('made.bind(Target)', '(() => new Container())().bind(Target)');
        expect(await probe(`${broken} export { made as container };`)).to.include({
          code: 1,
          stderr:
            'koa-probes: the probes of the container that ./app.mjs exports cannot be discovered (ConfigurationError): reason withheld. `koa-probes list --app ./app.mjs` shows it.\n',
        });
        const { code, stderr } = await runCommand(['list', '--app', './app.mjs'], { cwd: folder });
        expect(code).to.equal(1);
        expect(stderr).to.match(/cannot be discovered \(ConfigurationError\): .*SearchProbe/);
      });
    });

    it('runs the probes of the kind in its own process, and names the failing ones without withheld reasons', async () => {
      const checks = ["() => Promise.reject(new Error('secret'))", '() => {}', "() => { throw new NotReady('cold'); }"];
      const result = await probe(withChecks(...checks));
      expect(result).to.include({ code: 1, stdout: '', stderr: '[-]check-0 failed: reason withheld\n[-]check-2 failed: cold\n' });
      expect(await probe(withChecks(...checks), '--quiet')).to.include({ code: 1, stdout: '', stderr: '' });
      const live = await runCommand(['probe', '--live', '--app', 'app.mjs', '-v', ...PATIENT], { cwd: folder });
      expect(live).to.include({ code: 0, stdout: '[+]lifecycle ok\nlivez check passed\n' });
    });

    it('keeps the output of the application out of its own output', async () => {
      const noise =
        "console.log('starting'); console.error('warning'); process.stdout.write('!', () => {}); setInterval(() => console.log('tick'), 1); process.stdout.end('bye');";
      expect(await probe(noise + withChecks("() => console.log('checking')"))).to.include({ code: 0, stdout: 'ok\n', stderr: '' });
    });

    it('ends even if the application leaves servers, timers and connections open', async () => {
      const open = `
        import { createServer } from 'node:net';
        import { probeHeartbeat, probeServer } from 'koa-probes';
        createServer().listen(0);
        setInterval(() => {}, 1000);
        process.stdin.resume();
      `;
      const source = `${open}${PASSING}
        await probeServer(probes, { socket: './probes.sock' });
        probeHeartbeat(probes, { directory: './heartbeat' });`;
      expect((await probe(source)).code).to.equal(0);
      expect(readdirSync(folder).toSorted()).to.deep.equal(['app.mjs', 'heartbeat']);
      expect(readdirSync(join(folder, 'heartbeat'))).to.deep.equal([]);
    });

    const failures: [string, string, RegExp, string[]?][] = [
      ['a check that hangs', withChecks('() => new Promise(() => {})'), /^\[-]check-0 failed: timed out after 800 ms\n$/],
      [
        'probes that take longer than the timeout',
        withChecks('() => new Promise(() => {})').replace('check:', 'timeoutMs: 60000, check:'),
        /^koa-probes: the application has not finished within 2 s: its import, its probes, a lookup or a file call does not end\.\n$/,
        ['--timeout', '2'],
      ],
      [
        'a module that hangs',
        'await new Promise(() => {});',
        /^koa-probes: the application has not finished within 2 s/,
        ['--timeout', '2'],
      ],
      [
        'a function that hangs',
        'export default () => new Promise(() => {});',
        /^koa-probes: the application has not finished within 2 s/,
        ['--timeout', '2'],
      ],
      [
        'a module that throws',
        "throw new TypeError('postgres://admin:hunter2@db');",
        /^koa-probes: the module \.\/app\.mjs cannot be imported \(TypeError\): reason withheld\. `koa-probes list --app \.\/app\.mjs` shows it\.\n$/,
      ],
      [
        'a function that rejects',
        "export default async () => { throw new Error('hunter2'); };",
        /^koa-probes: the function that \.\/app\.mjs exports failed \(Error\): reason withheld\./,
      ],
      [
        'an error outside the probes',
        `setTimeout(() => { throw new Error('hunter2'); }); await new Promise(() => {});`,
        /^koa-probes: the application has thrown an error outside its probes: reason withheld\.\n$/,
      ],
      [
        'a module that ends the process with 0',
        'process.exit(0);',
        /^koa-probes: the application has ended the process\. Export the probes from a module that does not start the application\.\n$/,
      ],
      [
        'a listener that throws at the end',
        `process.on('exit', () => { throw new Error('hunter2'); });${withChecks("() => { throw new NotReady('cold'); }")}`,
        /^\[-]check-0 failed: cold\n$/,
      ],
      ...["process.on('exit', () => { process.exitCode = 0; });", "process.on('exit', () => process.exit(0));"].map(
        (listener): [string, string, RegExp] => [
          `a listener that changes the code: ${listener}`,
          listener + withChecks("() => { throw new NotReady('cold'); }"),
          /^\[-]check-0 failed: cold\n$/,
        ],
      ),
      ['a module that ends the process without its listeners', "process.removeAllListeners('exit'); process.exit(0);", /^$/],
      [
        'an error with a sentence as its name',
        "const error = new Error('no'); error.name = 'Error: postgres://me:hunter2@db'; throw error;",
        /^koa-probes: the module \.\/app\.mjs cannot be imported: reason withheld\./,
      ],
      [
        'an export that throws when it is read',
        "export const probes = new Proxy({}, { get() { throw new Error('hunter2'); } });",
        /^koa-probes: the module \.\/app\.mjs cannot be imported \(Error\): reason withheld\./,
      ],
    ];
    for (const [what, source, message, args = []] of failures) {
      it(`exits with 1 for ${what}`, async () => {
        const { code, stdout, stderr } = await probe(source, ...args);
        expect([code, stdout]).to.deep.equal([1, '']);
        expect(stderr).to.match(message);
      });
    }

    it('passes even if a listener throws at the end', async () => {
      expect(await probe(`process.on('exit', () => { throw new Error('hunter2'); });${PASSING}`)).to.include({
        code: 0,
        stdout: 'ok\n',
        stderr: '',
      });
    });

    for (const [what, source] of [
      ['a module', 'while (true);'],
      ['a check', withChecks('() => { while (true); }')],
      ['the end of the process', `process.on('exit', () => { while (true); });${PASSING}`],
    ] as const) {
      it(`ends in time with a signal if ${what} blocks the event loop`, async () => {
        const { code, stderr, durationMs } = await probe(source, '--timeout', '2');
        expect(code).to.equal('SIGKILL');
        expect(stderr).to.equal('koa-probes: the application has blocked the event loop for longer than 2 s.\n');
        expect(durationMs).to.be.within(1_900, 10_000);
      });
    }

    describe('while a file call of the application hangs, so that the process cannot exit', () => {
      const hanging = `import { readFile } from 'node:fs'; readFile('./pipe', () => {});`;
      beforeEach(() => run('mkfifo', [join(folder, 'pipe')]));

      it('reports a failure at once, and ends with a signal', async () => {
        const result = await probe(hanging + withChecks("() => { throw new NotReady('cold'); }"));
        expect(result).to.include({ code: 'SIGKILL', stdout: '', stderr: '[-]check-0 failed: cold\n' });
      });

      for (const listener of ["() => { throw new Error('hunter2'); }", '() => process.exit(0)']) {
        it(`reports a failure at once for any listener at the end: ${listener}`, async () => {
          const result = await probe(`${hanging} process.on('exit', ${listener}); ${withChecks("() => { throw new NotReady('cold'); }")}`);
          expect(result).to.include({ code: 'SIGKILL', stdout: '', stderr: '[-]check-0 failed: cold\n' });
        });
      }

      it('does not pass, because it could not end in time', async () => {
        const { code, stdout, stderr } = await probe(hanging + PASSING, '--timeout', '2');
        expect([code, stdout]).to.deep.equal(['SIGKILL', '']);
        expect(stderr).to.match(/^koa-probes: the application has not finished within 2 s: .*a file call does not end\.\n$/);
      });

      it('passes if the call ends in time', async () => {
        const writing = `import { writeFile } from 'node:fs'; setTimeout(() => writeFile('./pipe', 'x', () => {}), 300);`;
        expect(await probe(hanging + writing + PASSING)).to.include({ code: 0, stdout: 'ok\n', stderr: '' });
      });
    });

    describe('while file calls of the application end normally', () => {
      const cold = withChecks("() => { throw new NotReady('cold'); }");
      const busy = `import { readFile, stat } from 'node:fs'; import { readFile as read } from 'node:fs/promises';`;
      const calls: [string, string][] = [
        ['one is in flight', "readFile('./app.mjs', () => {});"],
        ['many are in flight', "for (let call = 0; call < 500; call += 1) stat('./app.mjs', () => {});"],
        ['files are read without a pause', "(async () => { for (;;) await read('./app.mjs'); })();"],
        [
          'files are read without a pause, by several',
          "const next = () => readFile('./app.mjs', next); for (let call = 0; call < 8; call += 1) next();",
        ],
        ['a lookup is in flight', "import('node:dns').then(({ lookup }) => lookup('localhost', () => {}));"],
      ];
      for (const [what, call] of calls) {
        it(`exits with 1 for a failure and with 0 for a pass if ${what}`, async () => {
          expect(await probe(`${busy} ${cold} ${call}`)).to.include({ code: 1, stdout: '', stderr: '[-]check-0 failed: cold\n' });
          expect(await probe(`${busy} ${PASSING} ${call}`)).to.include({ code: 0, stdout: 'ok\n', stderr: '' });
        });
      }

      it('exits with 1 if the probe itself fails during a call', async () => {
        const check = "() => new Promise((_, reject) => readFile('./missing', () => reject(new NotReady('cold'))))";
        expect(await probe(busy + withChecks(check))).to.include({ code: 1, stderr: '[-]check-0 failed: cold\n' });
      });

      it('exits with 1 if the import takes longer than the timeout', async () => {
        const slow = `${busy} (async () => { for (;;) await read('./app.mjs'); })(); await new Promise(() => {});`;
        const { code, stderr } = await probe(slow, '--timeout', '0.9');
        expect(code).to.equal(1);
        expect(stderr).to.match(/^koa-probes: the application has not finished within 0\.9 s/);
      });

      it('exits with 1, and runs no more code of the module, if the application ends the process', async () => {
        const ending = `${busy} import { writeFileSync } from 'node:fs'; readFile('./app.mjs', () => {}); process.exit(0); writeFileSync('./late', '');`;
        const { code, stderr } = await probe(ending);
        expect(code).to.equal(1);
        expect(stderr).to.match(/^koa-probes: the application has ended the process\./);
        expect(existsSync(join(folder, 'late'))).to.equal(false);
      });

      it('exits with 1 for an error outside the probes', async () => {
        const { code } = await probe(
          `${busy} readFile('./app.mjs', () => {}); setTimeout(() => { stat('.', () => {}); throw new Error('no'); }); await new Promise(() => {});`,
        );
        expect(code).to.equal(1);
      });

      it('exits with 2 if the module exports nothing', async () => {
        expect((await probe(`${busy} readFile('./app.mjs', () => {});`)).code).to.equal(2);
      });

      it('exits with 1 for a failing worker that uses BullMQ', async () => {
        expect(await probe(`import 'bullmq'; ${cold}`)).to.include({ code: 1, stderr: '[-]check-0 failed: cold\n' });
      });
    });

    describe('while a call of the application hangs, and the reason is not a failed probe', () => {
      const hanging = `import { readFile } from 'node:fs'; readFile('./pipe', () => {});`;
      beforeEach(() => run('mkfifo', [join(folder, 'pipe')]));

      for (const [what, rest] of [
        ['exports nothing', ''],
        ['ends the process', 'process.exit(0);'],
        ['ends the process without its listeners', "process.removeAllListeners('exit'); process.exit(0);"],
        ['throws', "throw new Error('hunter2');"],
      ] as const) {
        it(`ends in time with a signal if the module ${what}`, async () => {
          const { code, durationMs } = await probe(hanging + rest, '--timeout', '20');
          expect(code).to.equal('SIGKILL');
          expect(durationMs).to.be.below(15_000);
        });
      }
    });

    it('removes its sockets and heartbeats on SIGTERM', async () => {
      write(
        'app.mjs',
        `import { probeHeartbeat, probeServer } from 'koa-probes';${withChecks('() => new Promise(() => {})').replace('logger: false', 'logger: false, deadlineMs: 60000')}
        await probeServer(probes, { socket: './probes.sock' });
        probeHeartbeat(probes, { directory: './heartbeat', intervalMs: 100 });`,
      );
      const child = startNode(COMMAND, {}, { cwd: folder }, ['probe', '-R', '--app', './app.mjs', ...PATIENT]);
      await until(() => existsSync(join(folder, 'heartbeat', 'live')));
      expect(await child.stop('SIGTERM')).to.equal(1);
      expect(child.output()).to.equal('koa-probes: ended by SIGTERM.\n');
      expect([readdirSync(folder).toSorted(), readdirSync(join(folder, 'heartbeat'))]).to.deep.equal([['app.mjs', 'heartbeat'], []]);
    });

    const unusable: [string, string, RegExp][] = [
      ['exports nothing', 'export {};', /the module \.\/app\.mjs exports none of probes, container, default\. Export the ProbeRegistry/],
      [
        'exports something else',
        'export default 42;',
        /exports neither a ProbeRegistry nor a Container, nor a function that returns one\./,
      ],
      [
        'exports a container without a registry and without probes',
        "import 'reflect-metadata'; import { Container } from 'inversify'; export default new Container();",
        /the container that \.\/app\.mjs exports has no ProbeRegistry\. Call `await discoverProbes\(container\)` first\. No class with a probe decorator was found/,
      ],
    ];
    for (const [what, source, message] of unusable) {
      it(`exits with 2 if the module ${what}`, async () => {
        const { code, stderr } = await probe(source);
        expect(code).to.equal(2);
        expect(stderr)
          .to.match(message)
          .and.to.match(/^koa-probes: [^\n]+\n$/);
      });
    }

    it('exits with 2 if the module does not exist', async () => {
      const { code, stderr } = await runCommand(['probe', '-R', '--app', './dist/probs.js', ...PATIENT], { cwd: folder });
      expect([code, stderr]).to.deep.equal([
        2,
        `koa-probes: the module ./dist/probs.js was not found in ${folder}. Use a compiled file: --app ./dist/probes.js.\n`,
      ]);
    });
  });

  describe('list --app', () => {
    const list = (...args: readonly string[]) => runCommand(['list', '--app', './app.mjs', ...args], { cwd: folder });

    it('shows name, kinds, class and options of each probe, and where the options come from', async () => {
      write('app.mjs', `console.log('noise'); ${DISCOVERED}`);
      const { code, stdout, stderr } = await list();
      expect([code, stderr]).to.deep.equal([0, '']);
      expect(stdout.split('\n')).to.deep.equal([
        'NAME    KINDS                CLASS         OPTIONS',
        'search  readiness            SearchProbe   timeoutMs=500 (decorator), cacheMs=1000 (settings)',
        'jobs    readiness, liveness  BacklogProbe  -',
        'disk    startup              -             timeoutMs=800 (register), critical=false (register)',
        '',
        'All other options have their defaults: slowMs=0, intervalMs=0, failureThreshold=1, successThreshold=1, critical=true, restartOnOutage=false, timeoutMs=800, cacheMs=0.',
        '',
        'Nothing answers the probes: there is no probeMiddleware(), probeRouter(), probeView(), probeServer() or probeHeartbeat().',
        'There is no gracefulShutdown().',
        '',
      ]);
    });

    /** Nothing of this can start here: the port and the directories belong to others, and each run of the probe is written down. */
    const SERVED = `
      import { appendFileSync } from 'node:fs';
      import { createServer } from 'node:http';
      import { gracefulShutdown, probeHeartbeat, probeMiddleware, ProbeRegistry, probeServer } from 'koa-probes';
      import { probeRouter, probeView } from 'koa-probes/router';
      export const probes = new ProbeRegistry({ logger: false });
      probes.register({ name: 'search', kinds: ['readiness'], intervalMs: 1, check: () => appendFileSync('./runs', 'run') });
      gracefulShutdown(createServer().listen(22), probes);
      gracefulShutdown([], probes, { timeoutMs: 55_000, terminationGracePeriodSeconds: 60 });
      probeMiddleware(probes, { paths: { liveness: '/alive' } });
      probeRouter(probes).prefix('/internal');
      probeView(probes, 'readiness');
      const management = await probeServer(probes, { port: 22 });
      if (management.address().port !== 22) throw new Error('It has no address.');
      await probeServer(probes, { port: 0 });
      await probeServer(probes, { socket: '/proc/none/probes.sock' });
      probeHeartbeat(probes, { directory: '/proc/none' });
    `;

    it('shows how the probes are answered and how the application shuts down', async () => {
      write('app.mjs', SERVED);
      const { code, stdout, stderr } = await list();
      expect([code, stderr]).to.deep.equal([0, '']);
      const [, ...lines] = stdout
        .slice(stdout.indexOf('Answered by:'))

        .split('\n');
      const paths = '/livez and /healthz (liveness), /readyz (readiness), /startupz (startup)';
      expect(lines).to.deep.equal([
        '  probeMiddleware() at /alive (liveness), /readyz (readiness), /startupz (startup)',
        `  probeRouter() at ${paths.replaceAll('/', '/internal/')}, below the prefix where it is mounted`,
        '  probeView() for readiness, at a path of the application',
        `  probeServer() on port 22 at ${paths}`,
        `  probeServer() on a free port at ${paths}`,
        `  probeServer() on the socket /proc/none/probes.sock at ${paths}`,
        '  probeHeartbeat() in /proc/none every 5000 ms',
        'Shut down by:',
        '  gracefulShutdown() of http on port 22: at most 25000 ms in Kubernetes, including 5000 ms of draining; at most 25000 ms here, including 0 ms of draining',
        '  gracefulShutdown() without a server: at most 55000 ms in Kubernetes, including 0 ms of draining; at most 55000 ms here, including 0 ms of draining',
        '',
      ]);
    });

    it('runs no probe in the background, listens on no probe port, and writes no heartbeat', async () => {
      write('app.mjs', `${SERVED} await new Promise((resolve) => setTimeout(resolve, 100));`);
      expect((await list()).code).to.equal(0);
      expect(readdirSync(folder)).to.deep.equal(['app.mjs']);
    });

    it('waits for a discovery that the module does not wait for', async () => {
      write(
        'app.mjs',
        `import { setTimeout as pause } from 'node:timers/promises';
        import { discoverProbes, probeMiddleware, ProbeRegistry, ReadinessProbe } from 'koa-probes';
        export class SearchProbe { check() {} }
        ReadinessProbe()(SearchProbe);
        export const probes = new ProbeRegistry({ logger: false });
        const start = async () => {
          await discoverProbes(undefined, { registry: probes, modules: ['./later.mjs'] });
          probeMiddleware(probes);
        };
        void start();`,
      );
      write('later.mjs', 'await new Promise((resolve) => setTimeout(resolve, 50));');
      const { stdout } = await list();
      expect(stdout)
        .to.match(/^search +readiness/m)
        .and.to.match(/^ {2}probeMiddleware\(\)/m);
    });

    it('prints everything as JSON, without output of the application', async () => {
      write('app.mjs', `console.log('noise'); ${DISCOVERED}`);
      const { probes, serving } = JSON.parse((await list('--json')).stdout) as {
        probes: {
          name: string;
          kinds: unknown;
          className?: string;
          options: object;
          sources: Record<string, string>;
        }[];
        serving: object;
      };
      const [search, jobs, disk] = probes;
      expect(serving).to.deep.equal({ answerers: [], shutdowns: [] });
      expect(search).to.deep.include({ name: 'search', kinds: ['readiness'], className: 'SearchProbe' });
      expect(search?.options).to.deep.equal({
        timeoutMs: 500,
        slowMs: 0,
        cacheMs: 1000,
        intervalMs: 0,
        failureThreshold: 1,
        successThreshold: 1,
        critical: true,
        restartOnOutage: false,
      });
      expect(search?.sources).to.deep.equal({
        name: 'default',
        timeoutMs: 'decorator',
        cacheMs: 'settings',
        intervalMs: 'default',
        failureThreshold: 'default',
        successThreshold: 'default',
        critical: 'default',
        restartOnOutage: 'default',
        slowMs: 'default',
      });
      expect([jobs?.name, jobs?.sources['name']]).to.deep.equal(['jobs', 'decorator']);
      expect(disk).to.deep.include({ name: 'disk', kinds: ['startup'] });
      expect(disk?.sources['name']).to.equal('register');
      expect(disk).not.to.have.property('className');
    });

    it('prints everything to a pipe that is read late, no matter how long it is', async () => {
      write('app.mjs', withChecks(...Array.from({ length: 300 }, () => '() => {}')));
      const script = `"${process.execPath}" "${COMMAND}" list --json --app ./app.mjs | { sleep 1; cat; }`;
      const output = await run('sh', ['-c', script], { cwd: folder, env: { PATH: process.env['PATH'] } });
      expect(JSON.parse(output)).to.have.property('probes').with.lengthOf(300);
    });

    it('runs no probe, and reports if there is none', async () => {
      write('app.mjs', withChecks("() => console.error('run')").replace('logger: false', ''));
      expect((await list()).code).to.equal(0);
      write('app.mjs', withChecks());
      expect((await list()).stdout).to.match(/^There are no probes\.\n/);
    });

    it('shows the complete reason if the module cannot be imported', async () => {
      write('app.mjs', "throw new Error('the database is missing', { cause: new Error('ECONNREFUSED') });");
      const { code, stderr } = await list();
      expect(code).to.equal(1);
      expect(stderr).to.match(
        /^koa-probes: the module \.\/app\.mjs cannot be imported \(Error\): the database is missing: ECONNREFUSED\n$/,
      );
      write('app.mjs', 'throw undefined;');
      expect((await list()).stderr).to.equal('koa-probes: the module ./app.mjs cannot be imported: undefined was thrown\n');
    });
  });
});
