import { performance } from 'node:perf_hooks';
import { Degraded, ProbeTimeoutError } from '../errors.js';
import type { Probe, ProbeKind } from '../probe.js';
import { failed, passed, type ProbeData, type ProbeResult } from '../report/report.js';
import { ExecutionContext, type ContextListener } from './execution-context.js';
import { outcomeOf, type RunObservers, type TracedRun } from './observers.js';
import { adopt, readReturned, type Failure } from './returned.js';

/** The part of a passed execution that a run reads. */
export interface PassingExecution {
  readonly place: number;
  readonly startedAt: number;
}

/** A run that waits for a check, from the point of view of the check. Times are readings of `performance.now()`. */
export interface WaitingRun {
  readonly kind: ProbeKind;
  /** Whether the run accepts an existing result. */
  readonly acceptsLatest: boolean;
  /** Undefined if there are no observers, which is usual. */
  readonly observers: RunObservers | undefined;
  /** When the next check begins. */
  readonly beginsAt: number;
  /** When all checks had begun. Timeouts count from here, so that a check that blocks the event loop does not shorten the time of the others. */
  readonly armedAt: number;
  /** Returns the time for an outcome that has just arrived. */
  readClock(): number;
  /** Called when a check has ended synchronously. It may have blocked the event loop, and that time must not count for the other checks. */
  turnClock(): void;
  /** Called when the check has passed and nothing else needs to be reported. */
  pass(execution: PassingExecution): void;
  /** Called with the result of the check at that place. */
  take(place: number, result: ProbeResult): void;
}

// oxlint-disable-next-line typescript/unbound-method -- called with the promise as its receiver
const nativeThen = Promise.prototype.then;

/** The owner of an execution: one probe over time. */
export interface ExecutionOwner {
  readonly name: string;
  readonly timeoutMs: number;
  /** Whether the observers of the registry are told about its executions. */
  readonly isObservable: boolean;
  /** Returns the result that the waiting runs get for an outcome. */
  judge(execution: Execution, outcome: ProbeResult): ProbeResult;
  /** Called when the check uses something outside the process. */
  onOutside(what: string): void;
  /** Called when an abandoned execution has settled after all. */
  onLateSettlement(execution: Execution, durationMs: number, failure: Failure | undefined): void;
}

/**
 * The execution of one check. It turns everything that a check can do into one outcome, and it is the only place that does so.
 * The callbacks for a promise are created once and used for every execution, until one is abandoned, because an abandoned check may still settle.
 * The fields are `private` and not `#private`, because reading a `#private` field in a function of an instance costs as much as the rest of a trivial check.
 */
export class Execution implements ContextListener {
  isInFlight = false;
  /**
   * Whether a pass may go directly to the run: the probe passed before, no other run waits, the signal is not in use, and the timeout is not exceeded.
   * The owner sets it after each judgement. Every change of one of these conditions clears it.
   */
  isPlain = false;
  startedAt = NaN;
  /** The run that has started it and watches its timeout. It is kept after a plain pass, because the next run is usually the same object, and storing it again would double the cost. */
  private run: WaitingRun | undefined;
  /** Its place in that run. */
  place = 0;
  private context: ExecutionContext | undefined;
  private readonly accept: (value: unknown) => void;
  private readonly fail: (error: unknown) => void;
  isAbandoned = false;
  /** Other runs that wait for it. */
  private others: Map<WaitingRun, number> | undefined;
  private kind: ProbeKind | undefined;
  /** Watches its timeout once the run that has started it has ended. */
  private timer: NodeJS.Timeout | undefined;
  /** The abort reason of its signal. If this is set, it has timed out and fails, no matter how it settles. */
  private expiry: ProbeTimeoutError | undefined;
  /** The observers that are told about its end. Set if the run that has started it is observed. */
  private observers: RunObservers | undefined;
  private traced: TracedRun | undefined;

  constructor(
    private readonly probe: Probe,
    private readonly owner: ExecutionOwner,
  ) {
    this.accept = (value) => {
      // Nearly all executions end here.
      if (value === undefined && this.isPlain) return this.passOn();
      const { failure, data } = readReturned(value);
      this.settle(failure, data);
    };
    this.fail = (error) => this.settle({ error }, undefined);
  }

  begin(run: WaitingRun, place: number): void {
    this.isInFlight = true;
    this.startedAt = run.beginsAt;
    if (this.run !== run) {
      this.run = run;
      this.place = place;
      if (this.kind !== run.kind) this.renewContext(run.kind);
    }
    let returned: unknown;
    try {
      returned =
        run.observers === undefined ? this.probe.check(this.context as ExecutionContext) : this.checkObserved(run.observers, run.kind);
      // A native `then` calls back once and asynchronously. Any other `then` may do anything. The condition does not use `?.`, because V8 does not inline the call with it.
      if (returned !== undefined && returned !== null) {
        if ((returned as Partial<Promise<unknown>>).then === nativeThen) return void nativeThen.call(returned, this.accept, this.fail);
      }
      const adopted = adopt(returned);
      if (adopted !== undefined) return void adopted.then(this.accept, this.fail);
    } catch (error) {
      run.turnClock();
      return this.fail(error);
    }
    run.turnClock();
    this.accept(returned);
  }

  wait(run: WaitingRun, place: number): void {
    this.isPlain = false;
    (this.others ??= new Map()).set(run, place);
  }

  /** Makes `run` stop waiting, and returns whether it was waiting. The execution continues, and watches its own timeout if `run` did so. */
  stopWaiting(run: WaitingRun): boolean {
    if (!this.isInFlight || this.run !== run) return this.others?.delete(run) ?? false;
    const dueAt = this.dueAt(run);
    this.isPlain = false;
    this.run = undefined;
    if (dueAt !== Infinity) this.timer = setTimeout(() => setImmediate(() => this.expire()), dueAt - performance.now());
    return true;
  }

  /** Returns when it times out, if `run` watches its timeout. */
  dueAt(run: WaitingRun): number {
    return !this.isInFlight || this.run !== run || this.expiry !== undefined ? Infinity : run.armedAt + this.owner.timeoutMs;
  }

  /**
   * Called when it has timed out. A check that uses its signal has one turn of the event loop to reject with what it was waiting for, which becomes the cause of the timeout.
   * Otherwise the check is abandoned.
   */
  expire(): void {
    if (!this.isInFlight || this.expiry !== undefined) return;
    const expiry = timeoutAfter(this.owner.timeoutMs);
    this.isPlain = false;
    this.expiry = expiry;
    this.context?.abort(expiry);
    afterLastWords(() => {
      if (this.expiry === expiry) this.abandon(expiry);
    });
  }

  /** Ends it as failed and aborts its signal. What the check does afterwards has no effect. */
  abandon(reason: Error): void {
    if (!this.isInFlight) return;
    const { context } = this;
    this.isPlain = false;
    this.isAbandoned = true;
    this.fail(reason);
    context?.abort(reason);
  }

  /** Gives the waiting runs a result and aborts the signal. What the check does afterwards has no effect. The execution is not counted. */
  dismiss(result: ProbeResult, reason: Error): void {
    if (!this.isInFlight) return;
    const { context } = this;
    this.isPlain = false;
    this.isAbandoned = true;
    const { traced, startedAt } = this;
    const waiting = this.release();
    traced?.end('canceled', performance.now() - startedAt, reason);
    tell(waiting, result);
    context?.abort(reason);
  }

  onSignal(): void {
    this.isPlain = false;
  }

  onOutside(what: string): void {
    this.owner.onOutside(what);
  }

  private checkObserved(observers: RunObservers, kind: ProbeKind): unknown {
    const context = this.context as ExecutionContext;
    if (!this.owner.isObservable) return this.probe.check(context);
    this.observers = observers;
    this.traced = observers.trace(this.owner.name, kind);
    if (this.traced === undefined) return this.probe.check(context);
    // A plain pass does not end a traced run.
    this.isPlain = false;
    return this.traced.callCheck(() => this.probe.check(context));
  }

  private passOn(): void {
    const { run } = this;
    this.isInFlight = false;
    if (run === undefined) return;
    if (run.observers !== undefined) this.observers?.tellRun(this.owner.name, 'pass', this.startedAt, run.readClock());
    run.pass(this);
  }

  private settle(failure: Failure | undefined, data: ProbeData | undefined): void {
    const durationMs = (this.run?.readClock() ?? performance.now()) - this.startedAt;
    if (!this.isInFlight) return this.owner.onLateSettlement(this, durationMs, failure);
    const outcome = this.toOutcome(durationMs, failure, data);
    const { observers, traced, startedAt, expiry } = this;
    const waiting = this.release();
    const result = this.owner.judge(this, outcome);
    if (observers !== undefined) {
      const ended = outcomeOf(outcome, expiry !== undefined);
      traced?.end(ended, durationMs, outcome.error);
      observers.tellRun(this.owner.name, ended, startedAt, startedAt + durationMs);
    }
    tell(waiting, result);
  }

  private toOutcome(durationMs: number, failure: Failure | undefined, data: ProbeData | undefined): ProbeResult {
    const { expiry } = this;
    const { name, timeoutMs } = this.owner;
    if (expiry === undefined)
      return failure === undefined ? passed(name, durationMs, Date.now(), data) : failed(name, durationMs, failure.error);
    // The check has answered the abort with Degraded: it waits for something that is only slow.
    if (failure !== undefined && Degraded.is(failure.error)) return failed(name, durationMs, failure.error);
    // Create a new error. The check knows `expiry` as the reason of its signal, and may have changed it.
    const cause = failure === undefined || failure.error === expiry ? undefined : { cause: failure.error };
    return failed(name, durationMs, timeoutAfter(timeoutMs, cause));
  }

  private renewContext(kind: ProbeKind): void {
    this.kind = kind;
    this.context = new ExecutionContext(kind, this);
  }

  /** Resets the fields for the next execution, and returns the runs that waited for this one. */
  private release(): Waiting {
    const { run, place, others } = this;
    this.isInFlight = false;
    this.run = undefined;
    this.others = undefined;
    this.expiry = undefined;
    this.observers = undefined;
    this.traced = undefined;
    clearTimeout(this.timer);
    // A context whose signal was never read can be used for the next execution too.
    if (this.context?.hasSignal === true) this.kind = undefined;
    return { run, place, others };
  }
}

interface Waiting {
  readonly run: WaitingRun | undefined;
  readonly place: number;
  readonly others: ReadonlyMap<WaitingRun, number> | undefined;
}

function tell({ run, place, others }: Waiting, result: ProbeResult): void {
  run?.take(place, result);
  if (others !== undefined) for (const [other, itsPlace] of others) other.take(itsPlace, result);
}

/** Calls back after one turn of the event loop, in which a check whose signal was aborted can settle. The order of calls is kept. */
export function afterLastWords(callback: () => void): void {
  setImmediate(() => setImmediate(callback));
}

function timeoutAfter(timeoutMs: number, options?: ErrorOptions): ProbeTimeoutError {
  return new ProbeTimeoutError(`timed out after ${String(timeoutMs)} ms`, options);
}
