import { readFileSync } from 'node:fs';
import FakeTimers from '@sinonjs/fake-timers';
import { expect } from 'chai';
import { Degraded, NotReady, ProbeRegistry, type ProbeChange, type ProbeDefinition } from 'koa-probes';
import { projectPath } from '../support/consumer.js';
import { renderLogPage } from '../support/log-page.js';
import { MemoryLogger } from '../support/probes.js';
import { FAKED, simulateDay } from '../support/simulated-day.js';

const MINUTE = 60_000;

describe('the log of a registry', () => {
  let clock: ReturnType<typeof FakeTimers.install>;
  let logger: MemoryLogger;
  let registry: ProbeRegistry;
  /** What the probe throws; `undefined`: it passes. */
  let error: Error | undefined;

  beforeEach(() => {
    clock = FakeTimers.install({ toFake: [...FAKED] });
    logger = new MemoryLogger();
    registry = new ProbeRegistry({ logger });
    error = undefined;
  });
  afterEach(() => {
    registry.close();
    clock.uninstall();
  });

  const register = (options: Partial<ProbeDefinition> = {}) =>
    registry.register({
      name: 'db',
      kinds: ['readiness'],
      check() {
        if (error !== undefined) throw error;
      },
      ...options,
    });
  const run = async (thrown?: string | Error) => {
    error = typeof thrown === 'string' ? new Error(thrown) : thrown;
    await registry.run('readiness', { only: 'db' });
  };
  /** Runs every five seconds for that long. */
  const runFor = async (minutes: number, thrown?: string) => {
    for (let elapsed = 0; elapsed < minutes * MINUTE; elapsed += 5_000) {
      await run(thrown);
      await clock.tickAsync(5_000);
    }
  };
  const readLines = () => logger.lines.splice(0).map((line) => line.replace('koa-probes: readiness probe ', ''));

  describe('when an outage begins after a flicker', () => {
    it('still has a line for each new reason', async () => {
      register();
      await run();
      await run('hung up');
      await runFor(1);
      await run('refused');
      await runFor(1.5, 'silent');
      await runFor(4, 'wrong password');
      const lines = readLines().join('\n');
      for (const reason of ['hung up', 'refused', 'silent', 'wrong password']) expect(lines).to.include(reason);
    });
  });

  describe('when a slow probe gets better', () => {
    it('reports how long the probe failed, and does not call the next pass the first one', async () => {
      register({
        slowMs: 50,
        check: () => (error === undefined ? undefined : error.message === 'slow' ? clock.tickAsync(60) : Promise.reject(error)),
      });
      await run('slow');
      await run('down');
      await run('slow');
      await run();
      const lines = readLines();
      expect(lines[0]).to.match(/^warn db is degraded: slow/);
      expect(lines.slice(-2)[0]).to.match(/no longer fails after .*1 run failed, and is degraded/);
      expect(lines.at(-1)).to.match(/^info db passes again/);
    });
  });

  describe('while a probe fails', () => {
    it('has a line for each new reason, once', async () => {
      register();
      await run();
      for (const reason of ['connect ECONNREFUSED', 'password authentication failed', 'password authentication failed']) await run(reason);
      expect(readLines()).to.deep.equal(['warn db failed: connect ECONNREFUSED', 'warn db still fails: password authentication failed']);
    });

    it('treats reasons that differ only in numbers, ports, times and ids as the same', async () => {
      register();
      const same = [
        ['connect ECONNREFUSED 10.0.3.7:5432', 'connect ECONNREFUSED 10.0.3.8:6432'],
        ['silent for 801 ms', 'silent for 1.2 s'],
        ['no answer since 22:14:03', 'no answer since 22:14:08'],
        ['connection 3f2a9c01-77aa-4b1e-9c2d-0a1b2c3d4e5f is gone', 'connection 0b1c2d3e-1111-4222-8333-444455556666 is gone'],
      ];
      for (const [first, second] of same) {
        await run();
        await clock.tickAsync(2 * 60 * MINUTE);
        readLines();
        await run(first);
        await clock.tickAsync(2 * MINUTE);
        await run(second);
        expect(readLines()).to.deep.equal([`warn db failed: ${String(first)}`]);
      }
    });

    it('has one line per minute for new reasons, and reports the one that lasts', async () => {
      register();
      for (const reason of ['first', 'second', 'third']) await run(reason);
      expect(readLines()).to.deep.equal(['warn db failed: first', 'warn db still fails: second']);
      await clock.tickAsync(MINUTE);
      await run('third');
      expect(readLines()).to.deep.equal(['warn db still fails: third']);
    });

    it('reports alternating reasons at growing intervals', async () => {
      register();
      for (let minute = 0; minute < 9 * 60; minute += 1) {
        await run(minute % 2 === 0 ? 'refused' : 'silent');
        await clock.tickAsync(MINUTE);
      }
      expect(readLines().length).to.be.within(10, 25);
    });

    it('repeats a long outage after 10 minutes, and then at growing intervals, up to once an hour', async () => {
      register();
      await run();
      await runFor(10, 'refused');
      expect(readLines()).to.deep.equal(['warn db failed: refused']);
      await run('refused');
      expect(readLines()).to.deep.equal(['warn db still fails after 10 min, 121 runs failed: refused']);
      await runFor(20.5, 'refused');
      expect(readLines()).to.deep.equal(['warn db still fails after 30 min, 362 runs failed: refused']);
      await runFor(8 * 60, 'refused');
      expect(readLines().length).to.be.within(7, 9);
    });

    it('reports on recovery how long the outage lasted and how many runs failed', async () => {
      register();
      await run();
      await runFor(2, 'refused');
      await run();
      expect(readLines().at(-1)).to.equal('info db passes again after 2 min, 24 runs failed');
    });

    it('does not say `again` about the first pass ever', async () => {
      register();
      await runFor(0.25, 'refused');
      await run();
      expect(readLines()).to.deep.equal(['warn db failed: refused', 'info db passes for the first time after 15 s, 3 runs failed']);
    });

    it('counts the runs that failed, but not passes that `successThreshold` does not accept yet', async () => {
      register({ successThreshold: 3 });
      await run();
      for (const reason of ['down', 'down', undefined, undefined, undefined]) await run(reason);
      expect(readLines()).to.deep.equal(['warn db failed: down', 'info db passes again after 0 ms, 2 runs failed']);
    });

    it('reports a failure that `failureThreshold` tolerates, and the one that counts', async () => {
      register({ failureThreshold: 3 });
      await run();
      for (const reason of ['down', 'down', 'down', undefined]) await run(reason);
      expect(readLines()).to.deep.equal([
        'warn db is degraded: down',
        'warn db failed: down',
        'info db passes again after 0 ms, 3 runs failed',
      ]);
    });

    it('reports how long the probe was degraded', async () => {
      register();
      await run();
      await run(new Degraded('slow shards'));
      await clock.tickAsync(90_000);
      await run();
      expect(readLines()).to.deep.equal(['warn db is degraded: slow shards', 'info db passes again after 1 min 30 s']);
    });
  });

  describe('while a probe flaps', () => {
    /** A third of the runs fail. */
    const flapFor = async (minutes: number) => {
      for (let round = 0; round < minutes * 4; round += 1) {
        await run('refused');
        await clock.tickAsync(5_000);
        await run();
        await clock.tickAsync(10_000);
      }
    };

    it('summarizes it after a minute, then at growing intervals, and reports when it is over', async () => {
      register();
      await run();
      await flapFor(60);
      expect(readLines()).to.deep.equal([
        'warn db failed: refused',
        'info db passes again after 5 s, 1 run failed',
        'warn db failed again, 15 s after the last time: refused (further changes are summarized)',
        'warn db flaps: 4 runs failed in 1 min (refused). It passes now',
        'warn db flaps: 40 runs failed in 10 min (refused). It passes now',
      ]);
      await clock.tickAsync(5 * MINUTE);
      expect(readLines()).to.deep.equal(['info db passes steadily again, after 59 min 35 s in which 239 runs failed']);
      expect(clock.countTimers()).to.equal(0);
    });

    it('reports an outage that follows', async () => {
      register();
      await run();
      await flapFor(3);
      readLines();
      await runFor(6, 'stopped');
      expect(readLines()).to.deep.equal(['warn db fails steadily, after 2 min 45 s in which 71 runs failed: stopped']);
      await run();
      expect(readLines()).to.deep.equal(['info db passes again after 6 min, 72 runs failed']);
    });

    it('treats an outage soon after another one as an outage', async () => {
      register();
      await run();
      await run('refused');
      await run();
      await clock.tickAsync(2 * MINUTE);
      readLines();
      await runFor(12, 'stopped');
      await run();
      expect(readLines()).to.deep.equal([
        'warn db failed again, 2 min after the last time: stopped (further changes are summarized)',
        'warn db still fails after 10 min, 121 runs failed: stopped',
        'info db passes again after 12 min, 144 runs failed',
      ]);
    });

    it('lists the most frequent reasons', async () => {
      register();
      await run();
      for (const reason of ['refused 1', 'refused 2', 'refused 3', 'silent']) {
        await run(reason);
        await run();
        await clock.tickAsync(10_000);
      }
      readLines();
      await clock.tickAsync(MINUTE);
      expect(readLines()).to.deep.equal(['warn db flaps: 3 runs failed in 1 min (2 × refused 2; 1 × silent). It passes now']);
    });

    it('keeps no timer for a removed probe or a closed registry', async () => {
      const remove = register();
      await run();
      for (const reason of ['refused', undefined, 'refused', undefined]) await run(reason);
      expect(clock.countTimers()).to.equal(1);
      remove();
      expect(clock.countTimers()).to.equal(0);
      register();
      for (const reason of [undefined, 'refused', undefined, 'refused']) await run(reason);
      expect(clock.countTimers()).to.equal(1);
      registry.close();
      expect(clock.countTimers()).to.equal(0);
    });
  });

  describe('while the application starts and shuts down', () => {
    it('has no warning for a normal start and a normal shutdown', async () => {
      let isWarm = false;
      registry.register({ name: 'warm-up', kinds: ['startup'], check: () => isWarm || Promise.reject(new NotReady('warming up')) });
      register();
      await registry.run('readiness');
      await clock.tickAsync(2_000);
      isWarm = true;
      await registry.run('readiness');
      registry.lifecycle.drain();
      expect(logger.lines).to.deep.equal([
        'info koa-probes: startup probe warm-up has not passed yet: warming up',
        'info koa-probes: readiness probe lifecycle has not passed yet: starting: waiting for warm-up',
        'info koa-probes: startup probe warm-up passes for the first time after 2 s, 1 run failed',
        'info koa-probes: readiness probe lifecycle passes for the first time after 2 s, 1 run failed',
        'info koa-probes: readiness probe lifecycle failed: draining',
      ]);
    });

    it('has a warning for a start that takes longer than a minute', async () => {
      registry.register({ name: 'schema', kinds: ['startup'], check: () => Promise.reject(new Error('password authentication failed')) });
      for (let elapsed = 0; elapsed <= 8 * MINUTE; elapsed += 2_000) {
        await registry.run('startup');
        await clock.tickAsync(2_000);
      }
      expect(logger.lines).to.have.length(4);
      expect(logger.lines.slice(0, 2)).to.deep.equal([
        'info koa-probes: startup probe schema has not passed yet: password authentication failed',
        'warn koa-probes: startup probe schema has still not passed after 1 min, 31 runs failed: password authentication failed',
      ]);
    });

    it('has an info line for a hold before the first readiness pass, and a warning for a later one', async () => {
      const release = registry.lifecycle.hold('the cache is filled');
      release();
      registry.lifecycle.setReady(false, 'maintenance');
      expect(readLines()).to.deep.equal([
        'info lifecycle has not passed yet: the cache is filled',
        'info lifecycle passes for the first time after 0 ms, 1 run failed',
        'warn lifecycle failed: maintenance',
      ]);
    });

    it('reports every toggle at once, word for word', async () => {
      for (const reason of ['batch 1', 'batch 2', 'batch 3']) registry.lifecycle.setReady(false, reason);
      registry.lifecycle.drain();
      expect(readLines()).to.deep.equal([
        'warn lifecycle failed: batch 1',
        'warn lifecycle still fails: batch 2',
        'warn lifecycle still fails: batch 3',
        'info lifecycle failed: draining; batch 3',
      ]);
    });

    it('reports that draining begins while the lifecycle flaps', async () => {
      for (let round = 0; round < 3; round += 1) {
        registry.lifecycle.setReady(false, 'maintenance');
        registry.lifecycle.setReady(true);
      }
      readLines();
      registry.lifecycle.drain();
      expect(readLines()).to.deep.equal(['info lifecycle failed: draining']);
      expect(clock.countTimers()).to.equal(0);
    });

    it('has no line for probes that close() ends', async () => {
      register({ check: () => new Promise(() => {}) });
      const answer = registry.run('readiness');
      registry.close();
      await answer;
      expect(logger.lines).to.deep.equal([]);
    });
  });

  describe('for a probe with `slowMs`', () => {
    const takes = (durationMs: () => number, options: Partial<ProbeDefinition> = {}) =>
      register({ slowMs: 100, check: () => new Promise((resolve) => setTimeout(resolve, durationMs())), ...options });
    const statusOf = async (kind: 'readiness' | 'startup' = 'readiness') => {
      const report = registry.run(kind, { only: 'db' });
      await clock.tickAsync(900);
      return (await report).status;
    };

    it('has one line for slow passes, and one when the probe is fast again', async () => {
      let durationMs = 20;
      takes(() => durationMs);
      const statuses: string[] = [];
      for (durationMs of [20, 20, 150, 160, 170, 20, 20]) statuses.push(await statusOf());
      expect(statuses).to.deep.equal(['pass', 'pass', 'warn', 'warn', 'warn', 'pass', 'pass']);
      expect(readLines()).to.deep.equal([
        'warn db is degraded: slow: passed after 150 ms, longer than `slowMs` (100 ms)',
        'info db passes again after 2.6 s',
      ]);
    });

    it('counts a slow pass as a pass for thresholds and for the start', async () => {
      takes(() => 150, { kinds: ['startup'] });
      expect(await statusOf('startup')).to.equal('warn');
      expect(registry.lifecycle.state).to.equal('running');
      expect(await statusOf('startup')).to.equal('pass');
    });

    it('keeps the data of a slow pass', async () => {
      register({ slowMs: 1, check: () => new Promise((resolve) => setTimeout(() => resolve({ shards: 3 }), 10)) });
      const report = registry.run('readiness', { only: 'db' });
      await clock.tickAsync(20);
      expect((await report).results[0]).to.deep.include({ status: 'warn', data: { shards: 3 } });
    });

    it('rejects `slowMs` from `timeoutMs` on', () => {
      expect(() => register({ slowMs: 800 })).to.throw(/`slowMs` of probe "db" is 800, but its `timeoutMs` is 800: .* Lower `slowMs`\./);
      expect(() => register({ slowMs: -1 })).to.throw(/Expected `slowMs` of probe "db" to be a number of milliseconds/);
    });
  });

  describe('and the event `change`', () => {
    const listen = (target: ProbeRegistry) => {
      const changes: ProbeChange[] = [];
      target.on('change', (change) => changes.push(change));
      return changes;
    };

    it('is emitted for a new reason too, with the reason', async () => {
      register();
      const changes = listen(registry);
      for (const reason of [undefined, 'refused 1', 'refused 2', 'silent', 'refused 3', undefined]) await run(reason);
      expect(changes.map(({ previous, result, reason }) => [previous, result.status, reason])).to.deep.equal([
        [undefined, 'pass', undefined],
        ['pass', 'fail', 'refused 1'],
        ['fail', 'fail', 'silent'],
        ['fail', 'fail', 'refused 3'],
        ['fail', 'pass', undefined],
      ]);
    });

    it('is emitted even with `logger: false`', async () => {
      const silent = new ProbeRegistry({ logger: false });
      silent.register({ name: 'db', kinds: ['readiness'], check: () => false });
      const changes = listen(silent);
      await silent.run('readiness', { only: 'db' });
      expect(changes.map(({ reason }) => reason)).to.deep.equal(['the check returned false']);
      silent.close();
    });

    it('is emitted for each change of a flapping probe', async () => {
      register();
      const changes = listen(registry);
      for (let round = 0; round < 10; round += 1) {
        await run('refused');
        await run();
      }
      expect(changes).to.have.length(20);
    });
  });
});

describe('the log of a simulated day', function () {
  this.timeout(60_000);

  it('is stored in docs/observability-log.md; if not, run `npm run build && node scripts/observability-log.js`', async () => {
    const page = readFileSync(projectPath('docs', 'observability-log.md'), 'utf8');
    expect(await renderLogPage(page)).to.equal(page);
  });

  for (const periodMs of [5_000, 10_000]) {
    for (const seed of [1, 2, 3]) {
      it(`has at most 60 lines, and each cause of the outage (a run every ${String(periodMs / 1_000)} s, day ${String(seed)})`, async () => {
        const logger = new MemoryLogger();
        await simulateDay({ createLogger: () => logger, periodMs, seed });
        expect(logger.lines.length).to.be.within(50, 60);
        for (const part of [
          /refuses connections: connect ECONNREFUSED/,
          /still fails: timed out after 800 ms: connected, but the query has not been answered/,
          /still fails after 28 min, \d+ runs failed/,
          /still fails: password authentication failed/,
          /passes again after 46 min, \d+ runs failed/,
          /flaps: \d+ runs failed in 10 min/,
          /passes steadily again, after 5\d min( \d+ s)? in which \d{3} runs failed/,
        ]) {
          expect(
            logger.lines.filter((line) => part.test(line)),
            String(part),
          ).to.have.length(1);
        }
      });
    }
  }
});
