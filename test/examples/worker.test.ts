import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Queue } from 'bullmq';
import { expect } from 'chai';
import { COMMAND } from '../support/command.js';
import { projectPath } from '../support/consumer.js';
import { readCommand, readPodSpec } from '../support/pod-spec.js';
import { run, start, startNode, until, type Child } from '../support/processes.js';
import { startRedis, type RedisService } from '../support/redis.js';

const PROBES = { startup: 'startupProbe', live: 'livenessProbe', ready: 'readinessProbe' } as const;
type Kind = keyof typeof PROBES;

/** Those that see the running worker. */
const WAYS = ['socket', 'heartbeat', 'shell'] as const;

describe('examples/worker', () => {
  let redis: RedisService;
  let directory: string;
  let worker: Child;
  let queue: Queue;

  beforeEach(async () => {
    redis = await startRedis();
    directory = join(mkdtempSync(join(tmpdir(), 'worker-')), 'app');
    worker = startNode(projectPath('build/examples/worker/worker.js'), environment());
    queue = new Queue('jobs', { connection: { host: '127.0.0.1', port: redis.port } });
    queue.on('error', () => {});
    await until(() => worker.output().includes('waiting for jobs'));
  });

  afterEach(async () => {
    await worker.stop('SIGKILL');
    await queue.close();
    await redis.stop();
    rmSync(join(directory, '..'), { recursive: true });
  });

  const environment = () => ({ REDIS_URL: `redis://127.0.0.1:${String(redis.port)}`, PROBE_DIRECTORY: directory });

  /** Runs the command of the pod spec, and resolves to its exit code and what the kubelet would make an event of. */
  const probe = async (spec: string, kind: Kind) => {
    const described = readPodSpec('worker', `${spec}.yaml`).containers[0][PROBES[kind]];
    if (described === undefined) throw new Error(`${spec}.yaml has no ${kind} probe.`);
    const [program, ...args] = readCommand(described);
    const words = args.map((word) => word.replaceAll('/run/app', directory).replace('/app/dist/', projectPath('build/examples/worker/')));
    const child = start(program, words, { cwd: '/', env: { PATH: process.env['PATH'], ...environment() } });
    const [code] = (await once(child.process, 'close')) as [number];
    return { code, text: child.output() };
  };
  const command = (...args: readonly string[]) =>
    run(process.execPath, [COMMAND, ...args], { env: { PATH: process.env['PATH'], ...environment() } });
  const probeAll = async (kind: Kind) => (await Promise.all(WAYS.map((way) => probe(way, kind)))).map(({ code }) => code === 0);
  const untilAll = (kind: Kind, passes: boolean) => until(async () => (await probeAll(kind)).every((passed) => passed === passes));

  it('passes by all ways, and fails in readiness alone while Redis is down', async () => {
    for (const kind of ['startup', 'live', 'ready'] as const) await untilAll(kind, true);
    expect(await probe('app', 'startup')).to.deep.equal({ code: 0, text: 'ok\n' });
    expect(await command('list', '--app', projectPath('build/examples/worker/probes.js'))).to.match(/^redis +readiness +RedisProbe/m);
    await redis.halt();
    await untilAll('ready', false);
    expect(await probeAll('live')).to.deep.equal([true, true, true]);
    for (const way of ['socket', 'heartbeat', 'app']) {
      expect((await probe(way, way === 'app' ? 'startup' : 'ready')).text).to.match(
        /^\[-]redis failed: (reason withheld|timed out after 800 ms)\n$/,
      );
    }
    await redis.start();
    await untilAll('ready', true);
  });

  it('fails in liveness by all ways while a job blocks the event loop, and passes again', async () => {
    await untilAll('live', true);
    await queue.add('report', { ms: 10_000 });
    await untilAll('live', false);
    await untilAll('live', true);
    expect(worker.output()).to.include('report is done');
  });

  it('ends the job in hand after SIGTERM, not ready and alive by all ways, and leaves nothing behind', async () => {
    await untilAll('ready', true);
    await queue.add('mail', { ms: 8_000 });
    await until(async () => (await queue.getActiveCount()) === 1);
    worker.process.kill('SIGTERM');
    await until(() => !existsSync(join(directory, 'ready')));
    expect(await probeAll('ready')).to.deep.equal([false, false, false]);
    // A command that starts late on a busy machine fails at its own timeout.
    await untilAll('live', true);
    expect(worker.output()).not.to.include('mail is done');
    await until(() => worker.process.exitCode !== null);
    expect(worker.process.exitCode).to.equal(0);
    expect(worker.output()).to.include('mail is done');
    expect(readdirSync(directory)).to.deep.equal([]);
  });
});
