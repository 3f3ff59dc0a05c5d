import FakeTimers from '@sinonjs/fake-timers';
import { expect } from 'chai';
import { Container, injectFromBase } from 'inversify';
import { Redis } from 'ioredis';
import knex from 'knex';
import { discoverProbes, LivenessProbe, ProbeRegistry, type Probe, type ProbeDefinition } from 'koa-probes';
import { DiskProbe } from 'koa-probes/disk';
import { HttpProbe } from 'koa-probes/http';
import { checkKnex, DATABASE, DatabaseProbe } from 'koa-probes/knex';
import { MemcachedProbe } from 'koa-probes/memjs';
import { MigrationsProbe } from 'koa-probes/migrations';
import { RedisProbe } from 'koa-probes/redis';
import { TcpProbe } from 'koa-probes/tcp';
import memjs from 'memjs';
import { MemoryLogger } from '../support/probes.js';
import { run } from '../support/processes.js';

describe('the options of a probe', () => {
  let clock: ReturnType<typeof FakeTimers.install>;
  let registry: ProbeRegistry;
  let logger: MemoryLogger;
  let runs: number;
  let isUp: boolean;
  beforeEach(() => {
    clock = FakeTimers.install({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'performance', 'Date'] });
    logger = new MemoryLogger();
    registry = new ProbeRegistry({ logger });
    runs = 0;
    isUp = true;
  });
  afterEach(() => {
    registry.close();
    clock.uninstall();
  });

  const register = (options: Partial<ProbeDefinition>) =>
    registry.register({
      name: 'queue',
      kinds: ['readiness'],
      check: async () => {
        runs += 1;
        return isUp;
      },
      ...options,
    });
  const statusOf = async () => (await registry.run('readiness', { only: 'queue' })).status;
  /** Statuses of a run for each outcome. */
  const statusesOf = async (...outcomes: boolean[]) => {
    const statuses: string[] = [];
    for (const outcome of outcomes) {
      isUp = outcome;
      statuses.push(await statusOf());
    }
    return statuses.join(' ');
  };

  describe('timeoutMs', () => {
    it('is followed by a back-off of one minute at most if a probe hangs', async () => {
      const begunAt: number[] = [];
      register({
        timeoutMs: 90_000,
        check: () => {
          begunAt.push(performance.now());
          return new Promise(() => {});
        },
      });
      while (begunAt.length < 4) {
        void registry.run('readiness');
        await clock.tickAsync(1_000);
      }
      const pauses = begunAt.slice(1).map((at, index) => Math.round((at - (begunAt[index] ?? 0)) / 1_000) - 90);
      expect(pauses).to.satisfy((all: number[]) => all.every((pause) => pause <= 61));
    });
  });

  describe('cacheMs', () => {
    it('returns a result to later requests without a run until it is that old', async () => {
      register({ cacheMs: 1_000 });
      await statusOf();
      clock.tick(999);
      isUp = false;
      expect(await statusOf()).to.equal('pass');
      expect(runs).to.equal(1);
      clock.tick(1);
      expect(await statusOf()).to.equal('fail');
      isUp = true;
      expect(await statusOf()).to.equal('fail');
      clock.tick(1_000);
      expect(await statusOf()).to.equal('pass');
      expect(runs).to.equal(3);
    });
  });

  describe('intervalMs', () => {
    it('runs the check in the background, and returns the latest result at once', async () => {
      register({ intervalMs: 10_000 });
      expect(runs).to.equal(1);
      await clock.tickAsync(9_999);
      expect(await statusOf()).to.equal('pass');
      expect(runs).to.equal(1);
      isUp = false;
      await clock.tickAsync(1);
      expect(runs).to.equal(2);
      expect(await statusOf()).to.equal('fail');
      expect(logger.lines).to.deep.equal(['warn koa-probes: readiness probe queue failed: the check returned false']);
    });

    it('never returns a pass that is older than the interval plus the timeout: the request waits for a new run', async () => {
      clock.uninstall();
      register({ intervalMs: 20, timeoutMs: 20 });
      await statusOf();
      const blockedUntil = performance.now() + 60;
      while (performance.now() < blockedUntil);
      isUp = false;
      expect(await statusOf()).to.equal('fail');
    });

    it('counts from start to start, no matter how long a run takes', async () => {
      const begunAt: number[] = [];
      const startedAt = performance.now();
      const check = async () => {
        begunAt.push(performance.now() - startedAt);
        await new Promise((resolve) => setTimeout(resolve, 400));
      };
      register({ intervalMs: 1_000, check });
      await clock.tickAsync(3_500);
      expect(begunAt).to.deep.equal([0, 1_000, 2_000, 3_000]);
    });

    it('does not keep the process alive', async () => {
      const source = `
        import { ProbeRegistry } from 'koa-probes';
        new ProbeRegistry().register({ name: 'queue', kinds: ['readiness'], intervalMs: 3_600_000, check: () => console.log('checked') });
      `;
      const env = { ...process.env, NODE_V8_COVERAGE: undefined };
      clock.uninstall();
      expect(await run(process.execPath, ['--input-type=module', '--eval', source], { env })).to.equal('checked\n');
    });

    it('abandons a run that hangs, and tries again', async () => {
      register({ intervalMs: 1_000, timeoutMs: 100, check: () => (runs++ === 1 ? new Promise(() => {}) : undefined) });
      await clock.tickAsync(1_110);
      expect(await statusOf()).to.equal('fail');
      await clock.tickAsync(1_000);
      expect(await statusOf()).to.equal('pass');
    });

    it('runs a startup probe until it has passed, and continues if the probe is also of another kind', async () => {
      const checks = { schema: 0, both: 0 };
      const check = (name: keyof typeof checks) => async () => (checks[name] += 1) > 1;
      registry.register({ name: 'schema', kinds: ['startup'], intervalMs: 1_000, check: check('schema') });
      registry.register({ name: 'both', kinds: ['startup', 'readiness'], intervalMs: 1_000, check: check('both') });
      await clock.tickAsync(10_000);
      expect(checks).to.deep.equal({ schema: 2, both: 11 });
      expect((await registry.run('startup')).status).to.equal('pass');
    });

    it('stops with close()', async () => {
      register({ intervalMs: 1_000 });
      registry.close();
      await clock.tickAsync(5_000);
      expect(runs).to.equal(1);
      expect(clock.countTimers()).to.equal(0);
    });
  });

  describe('failureThreshold', () => {
    it('degrades the probe until enough runs in a row have failed', async () => {
      register({ failureThreshold: 3 });
      expect(await statusesOf(true, false, false, true, false, false, false, true)).to.equal('pass warn warn pass warn warn fail pass');
      expect(logger.lines[0]).to.equal('warn koa-probes: readiness probe queue is degraded: the check returned false');
    });

    it('counts every failure before the first pass', async () => {
      register({ failureThreshold: 3 });
      expect(await statusesOf(false, true, false)).to.equal('fail pass warn');
    });

    it('counts a run that hangs once, no matter how many requests wait for it', async () => {
      register({ failureThreshold: 2, timeoutMs: 100, check: () => (runs++ === 0 ? undefined : new Promise(() => {})) });
      expect(await statusOf()).to.equal('pass');
      const hanging = statusOf();
      await clock.tickAsync(110);
      expect(await hanging).to.equal('warn');
      expect([await statusOf(), await statusOf()]).to.deep.equal(['warn', 'warn']);
      await clock.tickAsync(100);
      const again = statusOf();
      await clock.tickAsync(110);
      expect(await again).to.equal('fail');
    });
  });

  describe('successThreshold', () => {
    it('keeps failing until enough runs in a row have passed, and reports how many have', async () => {
      register({ successThreshold: 3 });
      expect(await statusesOf(true, false, true, true)).to.equal('pass fail fail fail');
      const { results } = await registry.run('readiness', { only: 'queue' });
      expect(results[0]?.status).to.equal('pass');
      expect(await statusesOf(false, true)).to.equal('fail fail');
      expect(String((await registry.run('readiness')).results[1]?.error)).to.include('passed 2 of 3 times since it failed');
    });
  });

  describe('critical: false', () => {
    it('degrades the report and does not fail it', async () => {
      register({ critical: false });
      expect(await statusesOf(false, true, false)).to.equal('warn pass warn');
    });

    it('does not delay the start', async () => {
      register({ kinds: ['startup'], critical: false });
      isUp = false;
      expect((await registry.run('startup')).status).to.equal('warn');
      expect((await registry.run('readiness')).status).to.equal('pass');
    });

    it('continues to run a tolerated startup probe that has not passed', async () => {
      register({ kinds: ['startup'], critical: false });
      isUp = false;
      expect((await registry.run('startup')).status).to.equal('warn');
      isUp = true;
      expect((await registry.run('startup')).status).to.equal('pass');
      expect((await registry.run('startup')).status).to.equal('pass');
      expect(runs).to.equal(2);
    });

    it('still fails with the registry when that is closed', async () => {
      register({ failureThreshold: 3 });
      await statusOf();
      registry.close();
      expect(await statusOf()).to.equal('fail');
    });
  });

  describe('when the run and a probe have the same timeout', () => {
    const hang = () => new Promise(() => {});
    beforeEach(() => (registry = new ProbeRegistry({ logger, deadlineMs: 100 })));

    it('degrades if the probe is tolerated', async () => {
      register({ timeoutMs: 100, critical: false, check: hang });
      const hanging = statusOf();
      await clock.tickAsync(110);
      expect(await hanging).to.equal('warn');
    });

    it('reports to every waiting request what the check was waiting for', async () => {
      const check: ProbeDefinition['check'] = ({ signal }) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('no connection'))));
      register({ timeoutMs: 100, check });
      const reports = [registry.run('readiness'), registry.run('readiness')];
      await clock.tickAsync(110);
      for (const { results } of await Promise.all(reports)) {
        expect(results[1]?.failure?.detail).to.equal('timed out after 100 ms: no connection');
      }
    });
  });

  describe('when the deadline of a run is exceeded before the timeout of a probe that it joined', () => {
    /** The inner run joins the check that begins it, whose time counts from the end of the other one on. */
    const statusInside = async (options: Partial<ProbeDefinition>, passes: number) => {
      registry = new ProbeRegistry({ logger, deadlineMs: 100 });
      let inner: ReturnType<ProbeRegistry['run']> | undefined;
      const check = async () => {
        runs += 1;
        if (runs > passes) await (inner ??= registry.run('readiness'));
      };
      register({ timeoutMs: 100, check, ...options });
      registry.register({ name: 'blocker', kinds: ['readiness'], timeoutMs: 100, check: () => void clock.tick(50) });
      for (let pass = 0; pass < passes; pass += 1) await registry.run('readiness');
      const outer = registry.run('readiness');
      await clock.tickAsync(200);
      await outer;
      const result = (await inner)?.results[1];
      expect(result?.failure?.reason).to.equal('deadline exceeded: no result within 100 ms');
      return result?.status;
    };

    it('degrades if the probe is tolerated, and fails if it is not', async () => {
      expect(await statusInside({ critical: false }, 0)).to.equal('warn');
    });
    it('degrades below `failureThreshold`', async () => {
      expect(await statusInside({ failureThreshold: 2 }, 1)).to.equal('warn');
    });
    it('fails if the threshold is reached, and before the first pass', async () => {
      expect(await statusInside({ failureThreshold: 1 }, 1)).to.equal('fail');
      expect(await statusInside({ failureThreshold: 2 }, 0)).to.equal('fail');
    });
  });

  it('counts the time in which a check blocks the event loop for that check and no other', async () => {
    const kinds = ['readiness'] as const;
    registry.register({ name: 'first', kinds, check: () => {} });
    registry.register({ name: 'blocker', kinds, check: () => void clock.tick(50) });
    registry.register({
      name: 'thrower',
      kinds,
      check: () => {
        clock.tick(20);
        throw new Error('down');
      },
    });
    registry.register({ name: 'second', kinds, check: () => {} });
    registry.register({ name: 'later', kinds, check: async () => {} });
    const { results } = await registry.run('readiness');
    expect(results.map(({ durationMs }) => durationMs)).to.deep.equal([0, 0, 50, 20, 0, 0]);
    const times = results.map(({ time }) => Math.round(time - (results[1]?.time ?? 0)));
    expect(times).to.deep.equal([70, 0, 50, 70, 70, 70]);
  });

  it('runs a hanging probe as soon as it has settled, without waiting for the rest of its back-off', async () => {
    let settle = () => {};
    register({ timeoutMs: 1_000, check: () => (runs++ === 0 ? new Promise<void>((resolve) => (settle = resolve)) : undefined) });
    const hanging = statusOf();
    await clock.tickAsync(1_010);
    expect([await hanging, await statusOf()]).to.deep.equal(['fail', 'fail']);
    settle();
    await clock.tickAsync(0);
    expect(await statusOf()).to.equal('pass');
    expect(runs).to.equal(2);
  });

  it('tries a hanging probe again after one minute at the latest', async () => {
    register({ timeoutMs: 1_000, check: () => (runs++, new Promise(() => {})) });
    const tick = async () => {
      void statusOf();
      await clock.tickAsync(1_000);
    };
    for (let second = 0; second < 300; second += 1) await tick();
    const before = runs;
    for (let second = 0; second < 62; second += 1) await tick();
    expect(runs).to.equal(before + 1);
  });

  it('rejects values out of range, by name', () => {
    expect(() => register({ cacheMs: -1 })).to.throw(/`cacheMs` of probe "queue"/);
    expect(() => register({ intervalMs: Infinity })).to.throw(/`intervalMs`/);
    expect(() => register({ failureThreshold: 0 })).to.throw(
      /`failureThreshold` of probe "queue" to be a whole number from 1 to 1000, got `0`/,
    );
    expect(() => register({ successThreshold: 1.5 })).to.throw(/`successThreshold`/);
    expect(() => register({ critical: 'no' as never })).to.throw(/`critical`.*got "no"/);
    expect(() => register({ restartOnOutage: 1 as never })).to.throw(/`restartOnOutage`/);
  });
});

describe('a liveness probe that checks something outside the process', () => {
  const embedded = () => knex({ client: 'better-sqlite3', connection: ':memory:', useNullAsDefault: true });
  const linesOf = async (classes: (typeof DatabaseProbe)[]) => {
    const logger = new MemoryLogger();
    const container = new Container();
    container.bind(DATABASE).toConstantValue(embedded());
    await discoverProbes(container, { classes, logger });
    return logger.lines.filter((line) => line.startsWith('warn '));
  };

  it('logs a warning at start that describes the restart of every pod', async () => {
    @LivenessProbe({ name: 'alive' })
    @injectFromBase({ extendConstructorArguments: true })
    class LiveDatabaseProbe extends DatabaseProbe {}
    const lines = await linesOf([LiveDatabaseProbe]);
    expect(lines).to.have.length(1);
    expect(lines[0]).to.match(
      /liveness probe alive checks a database, which is outside this process: an outage would restart every pod at once.*`restartOnOutage: true`/,
    );
  });

  it('logs no warning for a readiness probe, or with `restartOnOutage`', async () => {
    @LivenessProbe({ name: 'wanted', restartOnOutage: true })
    @injectFromBase({ extendConstructorArguments: true })
    class WantedProbe extends DatabaseProbe {}
    expect(await linesOf([DatabaseProbe, WantedProbe])).to.deep.equal([]);
  });

  it('logs a warning at its first run if it is registered with a plain function', async () => {
    const logger = new MemoryLogger();
    const probes = new ProbeRegistry({ logger });
    const database = embedded();
    probes.register({ name: 'alive', kinds: ['liveness'], check: (context) => checkKnex(database, context) });
    await probes.run('liveness');
    await probes.run('liveness');
    expect(logger.lines).to.have.length(1);
    expect(logger.lines[0]).to.match(/liveness probe alive checks a database/);
    await database.destroy();
  });

  const database = embedded();
  after(() => database.destroy());
  const closed = { host: '127.0.0.1', port: 1 };
  const bundled: readonly [string, Probe][] = [
    ['a database', new DatabaseProbe([database])],
    ['a database', new MigrationsProbe([database])],
    ['memcached', new MemcachedProbe([new memjs.Client([new memjs.Server(closed.host, closed.port)], {})])],
    ['Redis', new RedisProbe([new Redis({ lazyConnect: true })])],
    ['another service', new HttpProbe([{ url: 'http://127.0.0.1:1/' }])],
    ['another service', new TcpProbe([closed])],
    ['a disk', new DiskProbe([{ path: '/tmp' }])],
  ];
  for (const [what, probe] of bundled) {
    it(`logs a warning if a plain function runs ${probe.constructor.name}`, async () => {
      const logger = new MemoryLogger();
      const probes = new ProbeRegistry({ logger });
      probes.register({ name: 'alive', kinds: ['liveness'], check: (context) => probe.check(context) });
      await probes.run('liveness');
      expect(logger.lines[0]).to.match(new RegExp(`liveness probe alive checks ${what}, which is outside this process`));
    });
  }
});
