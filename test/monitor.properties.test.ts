import FakeTimers from '@sinonjs/fake-timers';
import fc from 'fast-check';
import { ProbeRegistry, type ProbeReport } from 'koa-probes';

const MARGIN_MS = 100;

interface Outcome {
  readonly status: 'pass' | 'fail';
  /** When it settles; often beyond the timeout, and for `Infinity` never. */
  readonly afterMs: number;
}

const plannedOutcomes = fc.record<Outcome>({
  status: fc.constantFrom('pass', 'fail'),
  afterMs: fc.oneof(
    { weight: 6, arbitrary: fc.nat(60) },
    { weight: 2, arbitrary: fc.nat(2_000) },
    { weight: 1, arbitrary: fc.constant(Infinity) },
  ),
});
const scenarios = fc.record({
  options: fc.record({
    timeoutMs: fc.integer({ min: 20, max: 100 }),
    cacheMs: fc.constantFrom(0, 0, 50, 500),
    intervalMs: fc.constantFrom(0, 0, 30, 300),
    failureThreshold: fc.integer({ min: 1, max: 4 }),
    successThreshold: fc.integer({ min: 1, max: 4 }),
    critical: fc.boolean(),
  }),
  outcomes: fc.array(plannedOutcomes, { minLength: 1, maxLength: 40 }),
  /** Pauses between the requests: short ones make them overlap. */
  pauses: fc.array(fc.oneof(fc.nat(30), fc.nat(400)), { minLength: 1, maxLength: 60 }),
});
type Options = typeof scenarios extends fc.Arbitrary<{ options: infer Given }> ? Given : never;

/** One probe on a clock that the test turns, and everything that it did. */
class World {
  readonly clock = FakeTimers.install({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'performance', 'Date'] });
  readonly registry = new ProbeRegistry({ logger: false });
  readonly problems: string[] = [];
  /** What the runs came to, in their order, a run beyond its time as a failure. */
  readonly settled: { status: 'pass' | 'fail'; at: number }[] = [];
  readonly changes: string[] = [];
  #inFlight = 0;
  #isMended = false;

  constructor(
    readonly options: Options,
    readonly outcomes: Outcome[],
  ) {
    this.registry.on('change', ({ name, result }) => {
      if (name === 'probe') this.changes.push(result.status);
    });
    this.registry.register({ name: 'probe', kinds: ['readiness'], ...options, check: ({ signal }) => this.#check(signal) });
  }

  mend() {
    this.#isMended = true;
  }

  async request(): Promise<ProbeReport> {
    const askedAt = performance.now();
    const report = await this.registry.run('readiness');
    const tookMs = performance.now() - askedAt;
    if (tookMs > this.options.timeoutMs + MARGIN_MS) this.problems.push(`an answer took ${String(tookMs)} ms`);
    const isPassing = report.results.at(-1)?.status === 'pass';
    if (isPassing && !this.#hasPassSince(askedAt - this.#maxAgeMs()))
      this.problems.push(`a pass at ${String(askedAt)} is older than allowed`);
    return report;
  }

  #check(signal: AbortSignal): Promise<void> {
    if (this.#inFlight > 0) this.problems.push('two runs are in flight');
    this.#inFlight += 1;
    const { status, afterMs } = (this.#isMended ? undefined : this.outcomes.shift()) ?? { status: 'pass', afterMs: 0 };
    let isOver = false;
    const end = (came: 'pass' | 'fail') => {
      if (isOver) return;
      isOver = true;
      this.#inFlight -= 1;
      this.settled.push({ status: came, at: performance.now() });
    };
    signal.addEventListener('abort', () => end('fail'));
    return new Promise((resolve, reject) => {
      if (afterMs === Infinity) return;
      setTimeout(() => {
        end(status);
        if (status === 'pass') resolve();
        else reject(new Error('down'));
      }, afterMs);
    });
  }

  #maxAgeMs(): number {
    return this.options.intervalMs > 0 ? this.options.intervalMs + this.options.timeoutMs : this.options.cacheMs;
  }

  #hasPassSince(since: number): boolean {
    return this.settled.some(({ status, at }) => status === 'pass' && at >= since);
  }
}

/** The thresholds as their documentation has them, run by run. */
function expectedChanges(runs: World['settled'], { failureThreshold, successThreshold, critical }: Options): string[] {
  let [failures, passes, isDown, hasPassed] = [0, 0, false, false];
  const statuses = runs.map(({ status }) => {
    [failures, passes] = status === 'pass' ? [0, passes + 1] : [failures + 1, 0];
    if (status === 'fail' && (!hasPassed || failures >= failureThreshold)) isDown = true;
    if (status === 'pass' && passes >= successThreshold) isDown = false;
    if (status === 'pass' && !isDown) {
      hasPassed = true;
      return 'pass';
    }
    return isDown && critical ? 'fail' : 'warn';
  });
  return statuses.filter((status, index) => status !== statuses[index - 1]);
}

describe('a probe over random outcomes and times', () => {
  it('has one run in flight, no pass older than allowed, exact thresholds, every answer in time, and always recovers', async function () {
    this.timeout(60_000);
    const property = fc.asyncProperty(scenarios, async ({ options, outcomes: planned, pauses }) => {
      const world = new World(options, [...planned]);
      try {
        const answers: Promise<ProbeReport>[] = [];
        for (const pause of pauses) {
          answers.push(world.request());
          await world.clock.tickAsync(pause);
        }
        await world.clock.tickAsync(options.timeoutMs + MARGIN_MS);
        await Promise.all(answers);

        world.mend();
        let recovered: string | undefined;
        for (let seconds = 0; seconds < 130 && recovered !== 'pass'; seconds += 1) {
          const answer = world.request();
          await world.clock.tickAsync(1_000);
          recovered = (await answer).status;
        }
        if (recovered !== 'pass') world.problems.push(`it is still ${String(recovered)} after it was mended`);

        const expected = expectedChanges(world.settled, options);
        if (world.changes.join() !== expected.join()) world.problems.push(`it changed ${world.changes.join()}, not ${expected.join()}`);
        if (world.problems.length > 0) throw new Error(world.problems.join('; '));
      } finally {
        world.registry.close();
        world.clock.uninstall();
      }
    });
    await fc.assert(property, { numRuns: 300 });
  });
});
