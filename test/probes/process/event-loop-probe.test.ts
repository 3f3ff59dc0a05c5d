import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { Container } from 'inversify';
import { ConfigurationError, discoverProbes, type ProbeResult } from 'koa-probes';
import {
  checkEventLoop,
  EVENT_LOOP_LIMITS,
  EventLoopProbe,
  EventLoopWindow,
  judgeDelays,
  type EventLoopLimits,
} from 'koa-probes/event-loop';
import { stageFault } from '../../support/faults.js';
import { ask } from '../../support/http.js';
import { freePort, startNode, until, type Child } from '../../support/processes.js';

const program = fileURLToPath(new URL('../../support/event-loop-child.js', import.meta.url));

function block(ms: number): void {
  const endsAt = performance.now() + ms;
  while (performance.now() < endsAt);
}

describe('koa-probes/event-loop', () => {
  const discover = async (limits?: EventLoopLimits) => {
    const container = new Container();
    if (limits !== undefined) container.bind(EVENT_LOOP_LIMITS).toConstantValue(limits);
    const registry = await discoverProbes(container, { classes: [EventLoopProbe], logger: false });
    const askProbe = async () => (await registry.run('liveness', { only: 'event-loop' })).results[0];
    // The first sample is the one from which the next is measured.
    await until(async () => {
      block(40);
      return Number((await askProbe())?.data?.['maxMs']) > 0;
    });
    return { container, registry, askProbe };
  };

  describe('EventLoopProbe', () => {
    it('fails if the loop was blocked, and passes again when the window has passed', async () => {
      const { container, registry } = await discover({ maxDelayMs: 500, windowMs: 3_000 });
      try {
        await stageFault({
          registry,
          probe: 'event-loop',
          fault: 'the event loop was blocked for 1.5 s (a window of 3 s)',
          begin: () => block(1_500),
          end() {},
          reason: /^the event loop is delayed by \d+ ms \(p99 of 3000 ms\), more than 500 ms; the longest delay was \d+ ms$/,
          recoversWithinMs: 3_000,
          waitsFor: 'the window to pass',
        });
      } finally {
        await container.unbindAllAsync();
      }
    });

    it('takes at most 5,000 samples of a long window by default', () => {
      for (const windowMs of [100_000, 100_001, 3_600_000]) new EventLoopProbe({ windowMs }).close();
    });

    it('stops measuring when the container deactivates it', async () => {
      const { container, askProbe } = await discover();
      await container.unbindAllAsync();
      const before = await askProbe();
      expect(before?.data?.['maxMs']).to.be.above(0);
      block(300);
      expect((await askProbe())?.data).to.deep.equal(before?.data);
    });

    const invalid: [EventLoopLimits, RegExp][] = [
      [{ percentile: 0 }, /`percentile` of EVENT_LOOP_LIMITS to be a number from .* to 100, got `0`/],
      [{ percentile: 101 }, /`percentile` .* got `101`/],
      [{ maxDelayMs: 0 }, /`maxDelayMs` of EVENT_LOOP_LIMITS to be a number of milliseconds from 1/],
      [{ windowMs: 99 }, /`windowMs` of EVENT_LOOP_LIMITS to be a number from 100 to 3600000, got `99`/],
      [{ resolutionMs: 1_001 }, /`resolutionMs` .* whole|from 1 to 1000/],
      [{ resolutionMs: 10.5 }, /`resolutionMs` of EVENT_LOOP_LIMITS to be a whole number from 1 to 1000, got `10\.5`/],
      [{ windowMs: 1_000, resolutionMs: 200 }, /`resolutionMs` of EVENT_LOOP_LIMITS to be a number from 1 to 100, got `200`/],
      [
        { windowMs: 600_000, resolutionMs: 20 },
        /`resolutionMs` of an event loop window is 20, .*`windowMs` of 600000: .* Set `resolutionMs` to 120 or more/,
      ],
      [{ limit: 1 } as EventLoopLimits, /Unknown option `limit` of EVENT_LOOP_LIMITS/],
    ];
    for (const [limits, message] of invalid) {
      it(`fails the start for ${JSON.stringify(limits)}`, async () => {
        const problem: unknown = await discover(limits).catch((error: unknown) => error);
        expect(problem).to.satisfy(ConfigurationError.is);
        expect(String(problem)).to.match(message);
      });
    }
  });

  describe('EventLoopProbe in its own process', () => {
    let child: Child | undefined;
    afterEach(() => child?.stop('SIGKILL'));

    const startChild = async (limits: EventLoopLimits) => {
      const port = String(await freePort());
      child = startNode(program, { PORT: port, LIMITS: JSON.stringify(limits) });
      const askFor = async (path: string) => JSON.parse((await ask(`http://127.0.0.1:${port}${path}`)).body) as ProbeResult;
      await until(async () => Number((await askFor('/?block=40')).data?.['maxMs']) > 0);
      return askFor;
    };

    it('detects a delay that ends with the request for the check itself, and forgets it after the window', async () => {
      const askFor = await startChild({ maxDelayMs: 500, windowMs: 2_000 });
      const blocked = await askFor('/?block=1200');
      expect(blocked.status).to.equal('fail');
      expect(blocked.error).to.match(/the event loop is delayed by \d+ ms/);
      await until(async () => (await askFor('/')).status === 'pass');
    });

    it('passes after one delay below the percentile, and reports that delay', async () => {
      const askFor = await startChild({ maxDelayMs: 300, windowMs: 100_000, percentile: 50 });
      const { status, data } = await askFor('/?block=600');
      expect(status).to.equal('pass');
      expect(data?.['p50Ms']).to.equal(0);
      expect(data?.['maxMs']).to.be.within(570, 5_000);
    });

    it('does not keep the process alive, even if its registry stays open', async () => {
      child = startNode(program);
      const [code] = (await once(child.process, 'exit')) as [number];
      expect(child.output()).to.include('"status":"pass"');
      expect(code).to.equal(0);
    });
  });

  describe('checkEventLoop(window, context, limits)', () => {
    it('judges the given window, and rejects with the reason of an aborted signal', async () => {
      const window = new EventLoopWindow({ windowMs: 60_000, resolutionMs: 20 });
      try {
        await until(() => {
          block(200);
          return !window.longestFirst().next().done;
        });
        const problem: unknown = await checkEventLoop(
          window,
          { signal: new AbortController().signal },
          { maxDelayMs: 100, percentile: 100 },
        ).catch((error: unknown) => error);
        expect(String(problem)).to.match(/the event loop is delayed by \d+ ms \(p100 of 10000 ms\), more than 100 ms/);
        const reason = new Error('enough');
        expect(await checkEventLoop(window, { signal: AbortSignal.abort(reason) }).catch((error: unknown) => error)).to.equal(reason);
      } finally {
        window.close();
      }
    });
  });

  describe('judgeDelays(longestFirst, limits)', () => {
    const table: [string, number[], EventLoopLimits, number | RegExp][] = [
      ['no delay', [], {}, 0],
      ['one long block, although it is one sample among hundreds', [5_000, 2, 1], {}, /delayed by 4900 ms .* longest delay was 5000 ms/],
      ['one block that is longer than the limit by less than 1 % of the window', [1_050, 2], {}, 950],
      ['the same block twice', [1_050, 1_050, 2], {}, 1_000],
      ['the same block three times', [1_050, 1_050, 1_050], {}, /delayed by 1017 ms/],
      ['many short delays', Array.from({ length: 400 }, () => 20), {}, 20],
      ['delays in less than 1 % of the window', [40, 30, 20], {}, 0],
      ['the 100th percentile, which is the longest', [700, 1], { percentile: 100 }, 700],
      ['a limit that is reached and not passed', [700], { percentile: 100, maxDelayMs: 700 }, 700],
    ];
    for (const [name, delays, limits, expected] of table) {
      it(`${typeof expected === 'number' ? 'passes' : 'fails'} for ${name}`, () => {
        if (typeof expected === 'number')
          expect(judgeDelays(delays, limits)).to.deep.equal({ [`p${String(limits.percentile ?? 99)}Ms`]: expected, maxMs: delays[0] ?? 0 });
        else expect(() => judgeDelays(delays, limits)).to.throw(Error, expected);
      });
    }
  });
});
