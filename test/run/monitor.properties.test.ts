import FakeTimers from '@sinonjs/fake-timers';
import fc from 'fast-check';
import { ProbeRegistry, type ProbeReport } from 'koa-probes';

const MARGIN_MS = 100;

/** On this clock a turn of the event loop takes a millisecond: one lets the last answers in, two more are for last words. */
const TURNS_MS = 4;

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
  kind: fc.constantFrom<'readiness' | 'startup'>('readiness', 'readiness', 'startup'),
  options: fc.record({
    timeoutMs: fc.integer({ min: 20, max: 100 }),
    cacheMs: fc.constantFrom(0, 0, 50, 500),
    intervalMs: fc.constantFrom(0, 0, 30, 300),
    failureThreshold: fc.integer({ min: 1, max: 4 }),
    successThreshold: fc.integer({ min: 1, max: 4 }),
    critical: fc.boolean(),
  }),
  /** Whether the run has no more time than its probe. */
  isTight: fc.boolean(),
  /** Whether the check rejects as soon as its signal is aborted. */
  isHeedful: fc.boolean(),
  outcomes: fc.array(plannedOutcomes, { minLength: 1, maxLength: 40 }),
  /** Between the requests: short ones make them overlap. In some of them the event loop is blocked. */
  pauses: fc.array(
    fc.record({ ms: fc.oneof(fc.nat(30), fc.nat(400)), isBlocked: fc.oneof(fc.constant(false), fc.constant(false), fc.boolean()) }),
    { minLength: 1, maxLength: 60 },
  ),
});
type Scenario = typeof scenarios extends fc.Arbitrary<infer Given> ? Given : never;

/** One probe on a clock that the test turns, and everything that it did. */
class World {
  readonly clock = FakeTimers.install({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'performance', 'Date'] });
  readonly registry: ProbeRegistry;
  readonly problems: string[] = [];
  /** What the runs came to, in their order, a run beyond its time as a failure. */
  readonly settled: { status: 'pass' | 'fail'; at: number }[] = [];
  readonly changes: string[] = [];
  readonly answered = new Set<string>();
  readonly #outcomes: Outcome[];
  readonly #deadlineMs: number;
  #blockedMs = 0;
  #inFlight = 0;
  #runs = 0;
  /** The check that was aborted last and goes on all the same, and when it may be run again. */
  #hanging: { readonly run: number; readonly settlesAt: number; readonly backOffMs: number; readonly retryAt: number } | undefined;
  #isMended = false;

  constructor(readonly scenario: Scenario) {
    const { kind, options, outcomes, isTight } = scenario;
    this.#outcomes = [...outcomes];
    this.#deadlineMs = options.timeoutMs + (isTight ? 0 : MARGIN_MS);
    this.registry = new ProbeRegistry({ logger: false, deadlineMs: this.#deadlineMs });
    this.registry.on('change', ({ name, result, previous }) => {
      if (name === 'probe' && result.status !== previous) this.changes.push(result.status);
    });
    this.registry.register({ name: 'probe', kinds: [kind], ...options, check: ({ signal }) => this.#check(signal) });
  }

  mend() {
    this.#isMended = true;
  }

  /** As if something blocked the event loop: what comes due meanwhile is late, all of it together. */
  async block(ms: number) {
    // First the microtasks, in which timers are set.
    await this.clock.tickAsync(0);
    this.#blockedMs += ms;
    // jump() by itself runs no microtask between two timers.
    const { tick } = this.clock;
    let turned: Promise<number> | undefined;
    this.clock.tick = (late) => {
      turned = this.clock.tickAsync(late);
      return this.clock.now;
    };
    this.clock.jump(ms);
    this.clock.tick = tick;
    await turned;
  }

  async request(): Promise<ProbeReport> {
    const askedAt = performance.now();
    const blockedMs = this.#blockedMs;
    const runsBefore = this.#runs;
    const isFresh = askedAt - (this.settled.at(-1)?.at ?? -Infinity) < this.#maxAgeMs();
    const reporting = this.registry.run(this.scenario.kind);
    if (isFresh && this.#runs > runsBefore) this.problems.push(`a run begins at ${String(askedAt)} though a result is there`);
    const report = await reporting;
    const tookMs = performance.now() - askedAt - (this.#blockedMs - blockedMs);
    if (tookMs > this.#deadlineMs + TURNS_MS) this.problems.push(`an answer took ${String(tookMs)} ms`);
    const result = report.results.at(-1);
    this.answered.add(String(result?.status));
    if (/deadline/.test(String(result?.error))) this.problems.push('an answer has the deadline of the run for the timeout of the probe');
    const isTimeout = result?.failure?.reason.startsWith('timed out') ?? false;
    if (isTimeout && this.scenario.isHeedful && result?.failure?.detail.endsWith(': aborted') !== true)
      this.problems.push(`a timeout has lost its cause: ${String(result?.failure?.detail)}`);
    const isPassing = result?.status === 'pass';
    if (isPassing && !this.#hasPassSince(askedAt - this.#maxAgeMs()))
      this.problems.push(`a pass at ${String(askedAt)} is older than allowed`);
    return report;
  }

  #check(signal: AbortSignal): Promise<void> {
    if (this.#inFlight > 0) this.problems.push('two runs are in flight');
    this.#inFlight += 1;
    this.#runs += 1;
    const run = this.#runs;
    const beganAt = performance.now();
    if (this.isStarted) this.problems.push('a startup probe runs though it has passed');
    if (beganAt < (this.#hanging?.retryAt ?? 0)) this.problems.push(`a run begins at ${String(beganAt)}, in the back-off`);
    const { status, afterMs } = (this.#isMended ? undefined : this.#outcomes.shift()) ?? { status: 'pass', afterMs: 0 };
    let isOver = false;
    const end = (came: 'pass' | 'fail') => {
      if (isOver) return;
      isOver = true;
      this.#inFlight -= 1;
      this.settled.push({ status: came, at: performance.now() });
    };
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => {
        end('fail');
        if (this.scenario.isHeedful) reject(new Error('aborted'));
        else this.#backOff(run, beganAt + afterMs);
      });
      if (afterMs === Infinity) return;
      setTimeout(() => {
        if (!isOver || this.#hanging?.run === run) this.#hanging = undefined;
        end(status);
        if (status === 'pass') resolve();
        else reject(new Error('down'));
      }, afterMs);
    });
  }

  /** As long as the timeout at first, and twice as long each time that it hangs again while the one before does so still. */
  #backOff(run: number, settlesAt: number) {
    const now = performance.now();
    const { settlesAt: beforeSettlesAt, backOffMs: before } = this.#hanging ?? { settlesAt: 0, backOffMs: 0 };
    const backOffMs = beforeSettlesAt > now + TURNS_MS ? Math.min(2 * before, 60_000) : this.scenario.options.timeoutMs;
    this.#hanging = { run, settlesAt, backOffMs, retryAt: now + backOffMs };
  }

  /** A startup probe that has passed has passed for good. */
  get isStarted(): boolean {
    return this.scenario.kind === 'startup' && this.changes.includes('pass');
  }

  #maxAgeMs(): number {
    if (this.isStarted) return Infinity;
    const { intervalMs, timeoutMs, cacheMs } = this.scenario.options;
    return intervalMs > 0 ? intervalMs + timeoutMs : cacheMs;
  }

  #hasPassSince(since: number): boolean {
    return this.settled.some(({ status, at }) => status === 'pass' && at >= since);
  }
}

/** The thresholds as their documentation has them, run by run. */
function expectedChanges(runs: World['settled'], { failureThreshold, successThreshold, critical }: Scenario['options']): string[] {
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

describe('a probe with random outcomes and times', () => {
  it('has one run in flight, none during its back-off or with a fresh result, no pass older than allowed, exact thresholds, every answer in time, and always recovers', async function () {
    this.timeout(60_000);
    const property = fc.asyncProperty(scenarios, async (scenario) => {
      const { options, pauses } = scenario;
      const world = new World(scenario);
      try {
        const answers: Promise<ProbeReport>[] = [];
        for (const { ms, isBlocked } of pauses) {
          answers.push(world.request());
          await (isBlocked ? world.block(ms) : world.clock.tickAsync(ms));
        }
        await world.clock.tickAsync(options.timeoutMs + MARGIN_MS + TURNS_MS);
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
        for (const status of world.answered) if (!expected.includes(status)) world.problems.push(`an answer was ${status}`);
        if (world.problems.length > 0) throw new Error(world.problems.join('; '));
      } finally {
        world.registry.close();
        world.clock.uninstall();
      }
    });
    await fc.assert(property, { numRuns: 1_500 });
  });
});
