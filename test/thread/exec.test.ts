import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir, uptime } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { ConfigurationError, probeHeartbeat, ProbeRegistry, type ProbeHeartbeatOptions } from 'koa-probes';
import { startBlockable, type Blockable } from '../support/blocked.js';
import { runCommand } from '../support/command.js';
import { until } from '../support/processes.js';

/** Neither is over before its test is, however busy the machine. */
const LONG_MS = 60_000;

describe('the exec probes of a process with a thread', () => {
  let folder: string;
  let child: Blockable;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'thread-'))));
  afterEach(async () => {
    await child.stop('SIGKILL');
    rmSync(folder, { recursive: true });
  });

  /** What the kubelet makes of it, and the words of the event. */
  const probe = async (kind: 'live' | 'ready' | 'startup', way: 'socket' | 'heartbeat') => {
    const path = way === 'socket' ? join(folder, 'probes.sock') : folder;
    const { code, stdout, stderr } = await runCommand(['probe', `--${kind}`, `--${way}`, path, '--timeout', '10']);
    return { code, text: stdout + stderr };
  };

  it('tell a blocked event loop by --socket', async () => {
    child = await startBlockable({ server: { socket: join(folder, 'probes.sock'), notReadyAfterMs: 300, deadAfterMs: 2_000 } });
    await until(async () => (await probe('ready', 'socket')).code === 0);
    await child.block(LONG_MS);
    await until(async () => (await probe('ready', 'socket')).code === 1);
    expect((await probe('ready', 'socket')).text).to.match(/^\[-]event-loop failed: the event loop has been blocked for [\d.]+ m?s\n$/);
    expect(await probe('startup', 'socket')).to.deep.equal({ code: 0, text: 'ok\n' });
    await until(async () => (await probe('live', 'socket')).code === 1);
    expect((await probe('live', 'socket')).text).to.match(/^\[-]event-loop failed: the event loop has been blocked for /);
  });

  describe('by --heartbeat', () => {
    const startWith = async (options: Partial<ProbeHeartbeatOptions>) => {
      child = await startBlockable({ heartbeat: { directory: folder, ...options } });
      await until(async () => (await probe('ready', 'heartbeat')).code === 0 && (await probe('live', 'heartbeat')).code === 0);
    };
    const goodUntil = (file: string) => Number(readFileSync(join(folder, file), 'utf8').split('\n')[0]);

    it('tell a blocked process from a dead one', async () => {
      await startWith({ intervalMs: 100, notReadyAfterMs: 500, deadAfterMs: LONG_MS });
      await child.block(LONG_MS);
      const last = goodUntil('live');
      // Longer than any pass of the main thread is good.
      await until(() => uptime() > last + 2);
      expect(await probe('live', 'heartbeat')).to.deep.equal({ code: 0, text: 'ok\n' });
      expect(await probe('startup', 'heartbeat')).to.deep.equal({ code: 0, text: 'ok\n' });
      const { code, text } = await probe('ready', 'heartbeat');
      expect([code, text]).to.satisfy(
        ([, words]: [number, string]) => code === 1 && /^\[-]event-loop failed: the event loop has been blocked for \d+ ms\n$/.test(words),
      );
      expect((statSync(join(folder, 'live')).mode & 0o777).toString(8)).to.equal('600');
      await child.stop('SIGKILL');
      await until(async () => (await probe('live', 'heartbeat')).code === 1);
      expect((await probe('live', 'heartbeat')).text).to.include('has expired');
    });

    it('fail in liveness after `deadAfterMs`, and pass in all kinds as soon as the loop turns again', async () => {
      // The main thread writes when the block is over, and not an hour later.
      await startWith({ intervalMs: 3_600_000, notReadyAfterMs: 300, deadAfterMs: 800 });
      await child.block(3_000);
      await until(async () => (await probe('live', 'heartbeat')).code === 1);
      expect((await probe('live', 'heartbeat')).text).to.match(/^\[-]event-loop failed: the event loop has been blocked for /);
      await child.untilOver();
      await until(async () => (await probe('live', 'heartbeat')).code === 0 && (await probe('ready', 'heartbeat')).code === 0);
    });

    it('keep the last report until `notReadyAfterMs`', async () => {
      await startWith({ intervalMs: 100, notReadyAfterMs: LONG_MS, deadAfterMs: 2 * LONG_MS });
      await child.command('break');
      await until(async () => (await probe('ready', 'heartbeat')).code === 1);
      await child.block(LONG_MS);
      const last = goodUntil('live');
      await until(() => uptime() > last + 2);
      expect((await probe('live', 'heartbeat')).code).to.equal(0);
      expect(await probe('ready', 'heartbeat')).to.deep.equal({ code: 1, text: '[-]search failed: search is down\n' });
    });

    it('do not have the file of readiness back while a process that drains is blocked', async () => {
      await startWith({ intervalMs: 100, notReadyAfterMs: 300, deadAfterMs: LONG_MS });
      await child.command('drain');
      await until(() => !existsSync(join(folder, 'ready')));
      await child.block(LONG_MS);
      await until(() => child.lines.length > 0);
      const { mtimeMs } = statSync(join(folder, 'live'));
      await until(() => statSync(join(folder, 'live')).mtimeMs > mtimeMs);
      expect(existsSync(join(folder, 'ready'))).to.equal(false);
    });

    it('find no file of a process that has ended right after a block', async () => {
      await startWith({ intervalMs: 100, notReadyAfterMs: 300, deadAfterMs: LONG_MS });
      await child.command('block-and-exit?ms=1500');
      await until(() => child.process.exitCode !== null);
      expect(readdirSync(folder)).to.deep.equal([]);
    });
  });
});

describe('probeHeartbeat(probes, { thread: true })', () => {
  const wrong: [string, object, RegExp][] = [
    ['a thread that is no boolean', { thread: 'yes' }, /`thread` of probeHeartbeat\(\) to be one of `true`/],
    ['a limit without a thread', { deadAfterMs: 500 }, /`deadAfterMs` of probeHeartbeat\(\) needs a thread/],
    ['death before unreadiness', { thread: true, deadAfterMs: 500 }, /`deadAfterMs` of probeHeartbeat\(\), 500, is not longer/],
  ];
  for (const [name, options, message] of wrong) {
    it(`refuses ${name}`, () => {
      const probes = new ProbeRegistry({ logger: false });
      expect(() => probeHeartbeat(probes, { directory: tmpdir(), ...options })).to.throw(ConfigurationError, message);
    });
  }
});
