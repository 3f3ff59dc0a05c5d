import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { projectPath } from '../support/consumer.js';
import { readCommand, readPodSpec, type ProbeName } from '../support/pod-spec.js';
import { freePort, start, startNode, until, type Child } from '../support/processes.js';

const { containers, terminationGracePeriodSeconds } = readPodSpec('cluster', 'pm2.yaml');

describe('examples/cluster with a manager like pm2', () => {
  let directory: string;
  let port: number;
  let manager: Child;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'cluster-'));
    port = await freePort();
    startContainer();
  });

  afterEach(async () => {
    await killContainer();
    rmSync(directory, { recursive: true });
  });

  const startContainer = () => {
    const env = { PORT: String(port), PROBE_DIRECTORY: directory, WORKERS: '2' };
    // A group of its own: the kubelet ends a container with all its processes.
    manager = startNode(projectPath('build/test/support/pm2-child.js'), env, { detached: true });
  };

  const killContainer = async () => {
    const { pid } = manager.process;
    if (pid === undefined) return;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      return; // it has ended
    }
    await until(() => manager.process.exitCode !== null || manager.process.signalCode !== null);
  };

  /** Runs the command of the pod spec, and resolves to its exit code and what the kubelet would make an event of. */
  const probe = async (name: ProbeName) => {
    const spec = containers[0][name];
    if (spec === undefined) throw new Error(`There is no ${name}.`);
    const [program, ...args] = readCommand(spec);
    const words = args.map((word) => word.replaceAll('/run/app', directory));
    const child = start(program, words, { env: { PATH: process.env['PATH'] } });
    const [code] = (await once(child.process, 'close')) as [number];
    return { code, text: child.output() };
  };

  /** The shell line of the documentation. */
  const askShell = async (file: string, min: number) => {
    const line = `read u _ </proc/uptime; n=0; for f in ${directory}/*/${file}; do read d <$f && [ \${u%.*} -le $d ] && n=$((n+1)); done; [ $n -ge ${String(min)} ]`;
    const child = start('/bin/sh', ['-c', line], { env: { PATH: '' } });
    const [code] = (await once(child.process, 'close')) as [number];
    return code;
  };

  const untilCode = (name: ProbeName, code: number) => until(async () => (await probe(name)).code === code, 25_000);

  /** The process that answers: the primary hands connections to one after the other. */
  const askWorker = async () => Number(await (await fetch(`http://127.0.0.1:${String(port)}/`)).text());

  it('passes by all kinds while all workers pass', async () => {
    for (const name of ['startupProbe', 'livenessProbe', 'readinessProbe'] as const) {
      await untilCode(name, 0);
      expect(await probe(name)).to.deep.equal({ code: 0, text: 'ok\n' });
    }
    expect(await askShell('live', 2)).to.equal(0);
    expect(readdirSync(directory).toSorted()).to.deep.equal(['0', '1']);
  });

  it('stays ready while a worker that was killed is replaced, in the directory of the one before it', async () => {
    await untilCode('livenessProbe', 0);
    const killed = await askWorker();
    process.kill(killed, 'SIGKILL');
    await until(() => /worker [01] ended \(SIGKILL\)/.test(manager.output()));
    expect((await probe('readinessProbe')).code).to.equal(0);
    await until(async () => (await askWorker()) !== killed && (await askWorker()) !== killed);
    await untilCode('livenessProbe', 0);
    expect(readdirSync(directory).toSorted()).to.deep.equal(['0', '1']);
  });

  it('fails in liveness, and names the worker, while one is blocked; and passes after a restart of the container', async () => {
    await untilCode('livenessProbe', 0);
    const blocking = fetch(`http://127.0.0.1:${String(port)}/?block=60000`).catch(() => {});
    await untilCode('livenessProbe', 1);
    expect((await probe('livenessProbe')).text.replaceAll(directory, '/run/app')).to.match(
      /^\[-]\/run\/app\/\* failed: 1 of 2 passed, --min is 2\n\[-]the heartbeat \/run\/app\/[01]\/live has expired: [^\n]+\n$/,
    );
    expect(await askShell('live', 2)).to.equal(1);
    expect((await probe('readinessProbe')).code).to.equal(0);
    await killContainer();
    await blocking;
    startContainer();
    await untilCode('livenessProbe', 0);
    expect((await probe('startupProbe')).code).to.equal(0);
  });

  it('fails in every kind when all workers are gone, though their files are left', async () => {
    await untilCode('livenessProbe', 0);
    await killContainer();
    expect(readdirSync(join(directory, '0'))).to.include('live');
    for (const name of ['livenessProbe', 'readinessProbe', 'startupProbe'] as const) await untilCode(name, 1);
    expect(await askShell('ready', 1)).to.equal(1);
  });

  it('hands SIGTERM on, ends with 0 when the workers have ended, and leaves no file', async () => {
    await untilCode('livenessProbe', 0);
    expect(await manager.stop('SIGTERM')).to.equal(0);
    expect(manager.output())
      .to.match(/worker 0 ended \(0\)/)
      .and.to.match(/worker 1 ended \(0\)/);
    for (const instance of ['0', '1']) expect(readdirSync(join(directory, instance))).to.deep.equal([]);
    expect((await probe('readinessProbe')).code).to.equal(1);
  });

  it('has as many instances for pm2 as the probes count, and more time for their end than pm2 gives by default', () => {
    const { apps } = createRequire(import.meta.url)(projectPath('examples/cluster/ecosystem.config.cjs')) as {
      apps: [{ instances: number; kill_timeout: number; instance_var: string }];
    };
    expect(containers[0].livenessProbe?.exec.command.at(-1)).to.equal(String(apps[0].instances));
    expect(apps[0].kill_timeout).to.be.within(25_000, terminationGracePeriodSeconds * 1_000);
    expect(apps[0].instance_var).to.equal('NODE_APP_INSTANCE');
  });
});
