import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir, uptime } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { ConfigurationError, NotReady, probeHeartbeat, ProbeRegistry, type ProbeHeartbeatOptions } from 'koa-probes';
import { canMount, mountTmpfs } from '../support/mounts.js';
import { start, until, type Child } from '../support/processes.js';
import { ControlledCheck, MemoryLogger } from '../support/probes.js';

const FILES = ['live', 'ready', 'startup'];

/** The line of the documentation, with builtins of the shell alone. */
function isGood(file: string): boolean {
  const line = `read u _ </proc/uptime; read d <${file} && [ \${u%.*} -le $d ]`;
  return spawnSync('/bin/sh', ['-c', line], { env: { PATH: '' } }).status === 0;
}

describe('probeHeartbeat(probes, options)', () => {
  let folder: string;
  let directory: string;
  let logger: MemoryLogger;
  let probes: ProbeRegistry;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'heartbeat-'));
    directory = join(folder, 'run', 'app');
    logger = new MemoryLogger();
    probes = new ProbeRegistry({ logger });
  });
  afterEach(() => {
    probes.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const path = (file: string) => join(directory, file);
  const read = (file: string) => readFileSync(path(file), 'utf8').split('\n');
  const untilGood = (file: string) => until(() => isGood(path(file)));
  const untilBad = (file: string) => until(() => !isGood(path(file)));

  const untilRuns = async (registry: ProbeRegistry, count: number) => {
    let runs = 0;
    registry.register({ name: 'counted', kinds: ['liveness'], check: () => void (runs += 1) });
    await until(() => runs >= count);
  };

  it('creates the directory and one file per kind, for its owner only', async () => {
    probeHeartbeat(probes, { directory });
    for (const file of FILES) await untilGood(file);
    expect(readdirSync(directory).toSorted()).to.deep.equal(FILES);
    expect([directory, ...FILES.map(path)].map((one) => (statSync(one).mode & 0o777).toString(8))).to.deep.equal([
      '700',
      '600',
      '600',
      '600',
    ]);
  });

  it('makes a file valid for the interval, the deadline and one second, rounded up', async () => {
    probes.register({ name: 'slow', kinds: ['readiness'], timeoutMs: 9_900, check() {} });
    const before = uptime();
    probeHeartbeat(probes, { directory, intervalMs: 20_000 });
    await untilGood('ready');
    const [good = ''] = read('ready');
    expect(Number(good) + 1).to.be.within(before + 31, uptime() + 32);
  });

  it('renews the files after each run that passes', async () => {
    let runs = 0;
    probes.register({ name: 'counted', kinds: ['readiness'], check: () => void (runs += 1) });
    probeHeartbeat(probes, { directory, intervalMs: 20 });
    await untilGood('ready');
    const { ino, mtimeNs } = statSync(path('ready'), { bigint: true });
    await until(() => statSync(path('ready'), { bigint: true }).mtimeNs !== mtimeNs);
    expect(statSync(path('ready'), { bigint: true }).ino).not.to.equal(ino);
    expect(runs).to.be.above(1);
  });

  it('makes a file invalid at once if a run fails, and names the failures as the public reads them', async () => {
    let problem: Error | undefined;
    probes.register({
      name: 'search',
      kinds: ['readiness'],
      check() {
        if (problem) throw problem;
      },
    });
    probeHeartbeat(probes, { directory, intervalMs: 20 });
    await untilGood('ready');
    problem = new Error('secret');
    await untilBad('ready');
    expect(read('ready').toSpliced(1, 1)).to.deep.equal(['0', '[-]search failed: reason withheld', '']);
    expect(isGood(path('live'))).to.equal(true);
    problem = new NotReady('shards are missing');
    await until(() => read('ready')[2] === '[-]search failed: shards are missing');
    problem = undefined;
    await untilGood('ready');
  });

  it('writes less than the command reads for any number of failures', async () => {
    for (let index = 0; index < 500; index += 1) {
      probes.register({ name: `check-${String(index)}`, kinds: ['readiness'], check: () => Promise.reject(new NotReady('ü'.repeat(900))) });
    }
    probeHeartbeat(probes, { directory });
    await until(() => existsSync(path('ready')));
    expect(statSync(path('ready')).size).to.be.within(50_000, 64_000);
    expect(read('ready')[0]).to.equal('0');
    expect(read('ready')[2]).to.match(/^\[-]check-0 failed: ü+\.\.\.$/);
    expect(read('ready').at(-2)).to.match(/^\[-]\d+ more failed$/);
  });

  it('applies a toggle at once, even during a run', async () => {
    const slow = new ControlledCheck();
    probes.register({ name: 'slow', kinds: ['readiness'], timeoutMs: 60_000, check: slow.check });
    probeHeartbeat(probes, { directory, intervalMs: 3_600_000 });
    await until(() => slow.runs === 1);
    slow.resolve();
    await untilGood('ready');
    probes.lifecycle.setReady(false, 'maintenance');
    await until(() => slow.runs === 2);
    probes.lifecycle.setReady(true);
    slow.resolve();
    await until(() => slow.runs === 3);
    slow.resolve();
    await untilGood('ready');
    probes.lifecycle.setLive(false, 'stuck');
    await untilBad('live');
  });

  it('removes the readiness file permanently in the call of drain(), and continues with liveness', async () => {
    const slow = new ControlledCheck();
    probes.register({ name: 'slow', kinds: ['readiness'], check: slow.check });
    probeHeartbeat(probes, { directory, intervalMs: 20 });
    await until(() => slow.runs === 1);
    slow.resolve();
    await untilGood('ready');
    await until(() => slow.runs === 2);
    probes.lifecycle.drain();
    expect(existsSync(path('ready'))).to.equal(false);
    slow.resolve();
    const { mtimeNs } = statSync(path('live'), { bigint: true });
    await until(() => statSync(path('live'), { bigint: true }).mtimeNs > mtimeNs);
    expect(existsSync(path('ready'))).to.equal(false);
    expect(slow.runs).to.equal(2);
  });

  it('is not affected by wrong clocks', async () => {
    probeHeartbeat(probes, { directory, intervalMs: 3_600_000 });
    await untilGood('live');
    utimesSync(path('live'), 0, 0);
    expect(isGood(path('live'))).to.equal(true);
    writeFileSync(path('live'), `${String(Math.floor(uptime()) - 2)}\n`);
    utimesSync(path('live'), 4_000_000_000, 4_000_000_000);
    expect(isGood(path('live'))).to.equal(false);
  });

  it('removes files of an earlier process at start', () => {
    mkdirSync(directory, { recursive: true });
    for (const file of FILES) writeFileSync(path(file), '99999999999\n');
    probeHeartbeat(probes, { directory });
    expect(FILES.filter((file) => existsSync(path(file)))).to.deep.equal([]);
  });

  for (const [what, stop] of [
    ['stop()', (heartbeat: { stop(): void }) => heartbeat.stop()],
    ['probes.close()', () => probes.close()],
  ] as const) {
    it(`removes the files with ${what}, writes no more files and leaves no listener`, async () => {
      const countListeners = () => [process.listenerCount('exit'), probes.listenerCount('change'), probes.listenerCount('close')];
      const before = countListeners();
      const slow = new ControlledCheck();
      probes.register({ name: 'slow', kinds: ['liveness'], timeoutMs: 60_000, check: slow.check });
      const heartbeat = probeHeartbeat(probes, { directory, intervalMs: 20 });
      await untilGood('ready');
      await until(() => slow.runs === 1);
      stop(heartbeat);
      heartbeat.stop();
      expect(readdirSync(directory)).to.deep.equal([]);
      expect(countListeners()).to.deep.equal(before);
      // As long as another that goes on takes for several runs.
      const other = new ProbeRegistry({ logger: false });
      probeHeartbeat(other, { directory: join(folder, 'other'), intervalMs: 20 });
      slow.resolve();
      await untilRuns(other, 3);
      other.close();
      expect(readdirSync(directory)).to.deep.equal([]);
      expect(slow.runs).to.equal(1);
    });
  }

  it('logs once that the directory is no longer writable, and continues when it is again', async () => {
    probeHeartbeat(probes, { directory, intervalMs: 20 });
    await untilGood('live');
    rmSync(directory, { recursive: true });
    const complaints = () => logger.lines.filter((line) => line.includes('the liveness heartbeat cannot be written: ENOENT'));
    await until(() => complaints().length > 0);
    await untilRuns(probes, 3);
    mkdirSync(directory);
    await untilGood('live');
    expect(complaints()).to.have.lengthOf(1);
  });

  if (canMount) {
    it('leaves no pass in place if a failure cannot be written, as on a full disk', async () => {
      const disk = await mountTmpfs('size=16k');
      try {
        probeHeartbeat(probes, { directory: disk.path, intervalMs: 60_000 });
        await until(() => existsSync(join(disk.path, 'ready')));
        expect(() => writeFileSync(join(disk.path, 'full'), Buffer.alloc(65_536))).to.throw(/ENOSPC/);
        probes.lifecycle.setReady(false, 'maintenance');
        await until(() => !existsSync(join(disk.path, 'ready')));
        expect(logger.lines.join()).to.match(/the readiness heartbeat cannot be written: ENOSPC/);
      } finally {
        probes.close();
        await disk.remove();
      }
    });
  }

  const wrong: [string, object, RegExp][] = [
    ['no directory', {}, /`directory` of probeHeartbeat\(\) to be a path, got `undefined`/],
    ['an empty directory', { directory: '' }, /`directory` of probeHeartbeat\(\) to be a path/],
    [
      'an interval of 0',
      { directory: '/tmp/x', intervalMs: 0 },
      /`intervalMs` of probeHeartbeat\(\) to be a number of milliseconds from 1 to 3600000, got `0`/,
    ],
    ['an unknown option', { directory: '/tmp/x', interval: 5 }, /Unknown option `interval` of probeHeartbeat\(\)/],
    ['a directory that cannot be made', { directory: '/dev/null/app' }, /cannot write to \/dev\/null\/app: ENOTDIR.*Make it writable/],
    ['a directory that is a file', { directory: '/etc/passwd' }, /cannot write to \/etc\/passwd: EEXIST/],
  ];
  for (const [name, options, message] of wrong) {
    it(`rejects ${name}`, () => {
      expect(() => probeHeartbeat(probes, options as ProbeHeartbeatOptions)).to.throw(ConfigurationError, message);
    });
  }

  it('rejects a closed registry', () => {
    probes.close();
    expect(() => probeHeartbeat(probes, { directory })).to.throw(ConfigurationError, /of a registry that is closed/);
    expect(existsSync(directory)).to.equal(false);
  });

  describe('in its own process', () => {
    let child: Child;
    afterEach(() => child.stop('SIGKILL'));

    const startChild = (rest: string) => {
      const program = `
        import { ProbeRegistry, probeHeartbeat } from 'koa-probes';
        const probes = new ProbeRegistry({ logger: false });
        probeHeartbeat(probes, { directory: process.argv[1], intervalMs: 100 });
        ${rest}
      `;
      const env = { ...process.env, NODE_EXTRA_CA_CERTS: undefined, NODE_V8_COVERAGE: undefined };
      child = start(process.execPath, ['--input-type=module', '--eval', program, directory], { env });
      return child;
    };

    it('does not keep the process alive, and leaves no file', async () => {
      startChild('setTimeout(() => {}, 300);');
      await until(() => child.process.exitCode !== null);
      expect([child.process.exitCode, child.output(), readdirSync(directory)]).to.deep.equal([0, '', []]);
    });

    it('leaves no file if the process exits by itself or with an error', async () => {
      for (const end of ['process.exit(3)', 'throw new Error("broken")']) {
        startChild(`process.on('SIGUSR2', () => { ${end}; }); setInterval(() => {}, 1e6);`);
        for (const file of FILES) await untilGood(file);
        child.process.kill('SIGUSR2');
        await until(() => child.process.exitCode !== null);
        expect(readdirSync(directory)).to.deep.equal([]);
      }
    });

    it('lets the file expire if the event loop is blocked', async () => {
      startChild(`process.on('SIGUSR2', () => { while (true); }); setInterval(() => {}, 1e6);`);
      for (const file of FILES) await untilGood(file);
      child.process.kill('SIGUSR2');
      for (const file of FILES) await untilBad(file);
    });

    it('lets the file expire if the process is killed', async () => {
      startChild('setInterval(() => {}, 1e6);');
      for (const file of FILES) await untilGood(file);
      await child.stop('SIGKILL');
      expect(
        readdirSync(directory)
          .filter((file) => !file.startsWith('.'))
          .toSorted(),
      ).to.deep.equal(FILES);
      for (const file of FILES) await untilBad(file);
    });
  });
});
