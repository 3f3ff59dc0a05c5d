import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { PERMISSION, startBlockable, type Blockable } from '../support/blocked.js';
import { projectPath } from '../support/consumer.js';
import { start, until } from '../support/processes.js';

const LIMITS = { notReadyAfterMs: 300, deadAfterMs: 60_000 };

/** Runs a program to its end. */
async function runProgram(
  source: string,
  { flags = [], args = [], env = {} }: { flags?: string[]; args?: string[]; env?: Record<string, string> } = {},
) {
  const program = `import { gracefulShutdown, ProbeRegistry, probeServer } from 'koa-probes';\nconst probes = new ProbeRegistry();\n${source}`;
  const child = start(process.execPath, [...flags, '--input-type=module', '--eval', program, ...args], {
    env: { ...process.env, NODE_EXTRA_CA_CERTS: undefined, NODE_V8_COVERAGE: undefined, ...env },
  });
  const [code] = (await once(child.process, 'close')) as [number | null];
  return { code, output: child.output() };
}

describe('a process whose probes a thread answers', () => {
  let child: Blockable | undefined;
  afterEach(async () => {
    await child?.stop('SIGKILL');
    child = undefined;
  });

  describe('ends', () => {
    const ends: Record<string, { source: string; code: number; output?: RegExp }> = {
      'by itself': { source: 'await probeServer(probes, { port: 0, thread: true });', code: 0 },
      'by itself, after its server was closed': {
        source: 'const server = await probeServer(probes, { port: 0, thread: true });\nawait server.close();\nconsole.log("closed");',
        code: 0,
        output: /^closed\n$/,
      },
      'while its thread starts': { source: 'void probeServer(probes, { port: 0, thread: true });\nprocess.exit(3);', code: 3 },
      'with probes.close()': {
        source:
          'await probeServer(probes, { port: 0, thread: true });\nconst timer = setInterval(() => {}, 1e6);\nprobes.close();\nclearInterval(timer);',
        code: 0,
      },
      'by process.exit()': { source: 'await probeServer(probes, { port: 0, thread: true });\nprocess.exit(3);', code: 3 },
      'by an error': {
        source: 'await probeServer(probes, { port: 0, thread: true });\nsetTimeout(() => { throw new Error("broken"); });',
        code: 1,
        output: /Error: broken/,
      },
    };
    for (const [title, { source, code, output = /^$/ }] of Object.entries(ends)) {
      it(`${title}, with ${String(code)}, and leaves no file`, async () => {
        const folder = mkdtempSync(join(tmpdir(), 'thread-'));
        try {
          expect(await runProgram(source)).to.satisfy(
            (end: { code: number; output: string }) => end.code === code && output.test(end.output),
          );
          const onSocket = source.replace('port: 0', 'socket: process.argv[1]');
          expect((await runProgram(onSocket, { args: [join(folder, 'probes.sock')] })).code).to.equal(code);
          expect(readdirSync(folder)).to.deep.equal([]);
        } finally {
          rmSync(folder, { recursive: true });
        }
      });
    }

    it('without `exit`, and has closed its server, after a shutdown', async () => {
      const source = `
        const server = await probeServer(probes, { port: 0, thread: true });
        const { port } = server.address();
        const shutdown = gracefulShutdown([], probes, { exit: false });
        await shutdown.shutdown('the test');
        await server.close();
        await fetch('http://127.0.0.1:' + port + '/livez').catch(({ cause }) => console.log(cause.code));`;
      expect((await runProgram(source)).output).to.match(/finished\nECONNREFUSED\n$/);
    });
  });

  describe('is shut down', () => {
    it('after the loop turns again, if the signal comes while it is blocked', async () => {
      child = await startBlockable({ server: LIMITS, env: { DEACTIVATION_MS: '1' } });
      await child.block(2_000);
      child.process.kill('SIGTERM');
      await until(async () => (await child?.probe('/readyz'))?.status === 503);
      expect((await child.probe('/livez')).status).to.equal(200);
      await until(() => child?.process.exitCode !== null);
      expect(child.process.exitCode).to.equal(0);
      expect(child.lines[0]).to.match(/ blocked for .* by .*busyLoop \(/);
      expect(child.output()).to.match(/shutdown by SIGTERM .*finished/);
    });

    it('with liveness answered to its end, while the container is deactivated', async () => {
      child = await startBlockable({ server: { ...LIMITS, details: 'all' }, env: { DEACTIVATION_MS: '2000' } });
      await until(async () => (await child?.probe('/readyz'))?.status === 200);
      await until(async () => (await child?.probe('/livez?verbose'))?.body.includes('[+]worker ok'));
      child.process.kill('SIGTERM');
      await until(() => child?.output().includes('all hooks finished'));
      expect(await child.probe('/livez?verbose')).to.include({ status: 200, body: '[+]lifecycle ok\n[+]worker ok\nlivez check passed\n' });
      expect((await child.probe('/readyz')).body).to.match(/^\[-]lifecycle failed: draining$/m);
      expect(child.output()).not.to.match(/after \d+ ms: finished/);
      await until(() => child?.process.exitCode !== null);
      expect(child.process.exitCode).to.equal(0);
    });
  });

  describe('loads no agent into the thread', () => {
    const agent = projectPath('build/test/support/debugging-agent.js');
    for (const [title, options] of [
      ['by --require', { flags: ['--require', agent] }],
      ['by --import', { flags: ['--import', agent] }],
      ['by NODE_OPTIONS', { env: { NODE_OPTIONS: `--require=${agent}` } }],
    ] as const) {
      it(title, async () => {
        child = await startBlockable(options);
        expect((await child.probe('/livez')).status).to.equal(200);
        expect(child.output().match(/^agent: watching.*$/gm)).to.deep.equal(['agent: watching thread 0']);
      });
    }
  });

  describe('answers while it is blocked, and names the function, with', () => {
    const flags = [
      '--max-old-space-size=64',
      '--frozen-intrinsics',
      '--disallow-code-generation-from-strings',
      '--disable-proto=throw',
      '--enable-source-maps',
      '--stack-size=500',
      '--no-opt',
      '--unhandled-rejections=strict',
    ];
    for (const flag of flags) {
      it(flag, async () => {
        child = await startBlockable({ server: LIMITS, flags: [flag] });
        expect((await child.probe('/livez')).status).to.equal(200);
        await child.block(1_500);
        await until(async () => (await child?.probe('/readyz'))?.status === 503);
        await until(() => child?.lines.some((line) => / by .*busyLoop \(/.test(line)));
      });
    }

    it('a heap that is full of garbage', async () => {
      child = await startBlockable({ server: LIMITS, flags: ['--max-old-space-size=64'] });
      await child.block(2_000, 'garbage');
      await until(async () => (await child?.probe('/readyz'))?.status === 503);
      expect((await child.probe('/livez')).status).to.equal(200);
    });
  });

  it('needs --allow-worker under the permission model, and says so', async () => {
    const source = 'await probeServer(probes, { port: 0, thread: true }).catch(({ code, message }) => console.log(code, message));';
    const { output } = await runProgram(source, { flags: [PERMISSION, '--allow-fs-read=*', '--no-warnings'] });
    expect(output).to.equal(
      'ERR_PROBES_CONFIGURATION The thread of the probes cannot be started: the permission model of Node forbids it. Start Node with --allow-worker, or leave `thread` out.\n',
    );
  });

  it('may be a worker thread itself, of which no stack is taken', async () => {
    const source = `
      import { Worker } from 'node:worker_threads';
      const code = \`
        import { parentPort } from 'node:worker_threads';
        import { ProbeRegistry, probeServer } from 'koa-probes';
        const probes = new ProbeRegistry();
        const server = await probeServer(probes, { port: 0, thread: true, notReadyAfterMs: 300 });
        parentPort.postMessage(server.address().port);
        const endsAt = performance.now() + 1_500;
        setTimeout(() => { while (performance.now() < endsAt); }, 200);
        probes.on('block', () => process.exit());
      \`;
      const worker = new Worker(code, { eval: true });
      worker.once('message', async (port) => {
        const statuses = new Set();
        const timer = setInterval(async () => statuses.add((await fetch('http://127.0.0.1:' + port + '/readyz').catch(() => ({}))).status), 20);
        worker.once('exit', () => { clearInterval(timer); console.log([...statuses].includes(503)); });
      });`;
    const { output } = await runProgram(source);
    expect(output)
      .to.match(/blocked for \d+ ms \(its stack is not known: it can be taken of the main thread alone\)\n/)
      .and.to.match(/^true$/m);
  });
});
