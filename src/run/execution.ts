import { performance } from 'node:perf_hooks';
import { Degraded, ProbeTimeoutError } from '../errors.js';
import type { Probe, ProbeKind } from '../probe.js';
import { failed, passed, type ProbeData, type ProbeResult } from '../report/report.js';
import { ExecutionContext, type ContextListener } from './execution-context.js';
import { outcomeOf, type RunObservers, type TracedRun } from './observers.js';
import { adopt, readReturned, type Failure } from './returned.js';

/** What a run reads of an execution that has passed. */
export interface PassingExecution {
  readonly place: number;
  readonly startedAt: number;
}

/** A run, as a check sees it that the run waits for. Times are readings of `performance.now()`. */
export interface WaitingRun {
  readonly kind: ProbeKind;
  /** Whether a result that is there already will do. */
  readonly acceptsLatest: boolean;
  /** Undefined if nobody listens, which is usual. */
  readonly observers: RunObservers | undefined;
  /** When the next check begins. */
  readonly beginsAt: number;
  /** When all checks had begun. Timeouts count from here, so that a check that blocks the event loop takes no time from the others. */
  readonly armedAt: number;
  /** The time for an outcome that has just come. */
  readClock(): number;
  /** A check has ended at once, and it may have blocked the event loop: that time is its own. */
  turnClock(): void;
  /** The check has passed, and there is nothing more to say about it. */
  pass(execution: PassingExecution): void;
  /** The result of the check at that place. */
  take(place: number, result: ProbeResult): void;
}

// oxlint-disable-next-line typescript/unbound-method -- called with the promise as its receiver
const nativeThen = Promise.prototype.then;

/** The owner of an execution: one probe over time. */
export interface ExecutionOwner {
  readonly name: string;
  readonly timeoutMs: number;
  /** Whether its executions are told to those who observe the registry. */
  readonly isObservable: boolean;
  /** What those who wait are given for an outcome. */
  judge(execution: Execution, outcome: ProbeResult): ProbeResult;
  /** The check reaches outside the process. */
  onOutside(what: string): void;
  /** An execution that was abandoned has settled after all. */
  onLateSettlement(execution: Execution, durationMs: number, failure: Failure | undefined): void;
}

/**
 * The execution of one check. Whatever the check does, it becomes one outcome, here and nowhere else.
 * The functions that a promise calls are made once and serve every execution, until one is abandoned: its check may still settle.
 * `private` and not `#`: a private name that a function of an instance reads costs as much as the rest of a trivial check.
 */
export class Execution implements ContextListener {
  isInFlight = false;
  /**
   * Whether a pass may go straight to the run: the probe passed before, no other run waits, the signal is not in use, and the time is not over.
   * The owner sets it after each judgement, and what changes any of these clears it.
   */
  isPlain = false;
  startedAt = NaN;
  /** The run that has begun it and guards its time. It stays after a plain pass: the next one is as a rule the same, and storing it again costs as much as the rest. */
  private run: WaitingRun | undefined;
  /** The place in that run. */
  place = 0;
  private context: ExecutionContext | undefined;
  private readonly accept: (value: unknown) => void;
  private readonly fail: (error: unknown) => void;
  isAbandoned = false;
  /** The runs that wait too. */
  private others: Map<WaitingRun, number> | undefined;
  private kind: ProbeKind | undefined;
  /** Guards its time once the run that has begun it is over. */
  private timer: NodeJS.Timeout | undefined;
  /** The reason that its signal was aborted with. It has timed out: it fails, however it settles now. */
  private expiry: ProbeTimeoutError | undefined;
  /** Those who hear of its end. Set if the run that has begun it is observed. */
  private observers: RunObservers | undefined;
  private traced: TracedRun | undefined;

  constructor(
    private readonly probe: Probe,
    private readonly owner: ExecutionOwner,
  ) {
    this.accept = (value) => {
      // The way of nearly all executions.
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
      // A native `then` calls back once, and later. Anything else may do as it likes. Without `?.`, with which V8 does not inline the call.
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

  /** Whether `run` was waiting. The execution goes on. It guards its time by itself if `run` did so. */
  stopWaiting(run: WaitingRun): boolean {
    if (!this.isInFlight || this.run !== run) return this.others?.delete(run) ?? false;
    const dueAt = this.dueAt(run);
    this.isPlain = false;
    this.run = undefined;
    if (dueAt !== Infinity) this.timer = setTimeout(() => setImmediate(() => this.expire()), dueAt - performance.now());
    return true;
  }

  /** When it times out, if `run` guards it. */
  dueAt(run: WaitingRun): number {
    return !this.isInFlight || this.run !== run || this.expiry !== undefined ? Infinity : run.armedAt + this.owner.timeoutMs;
  }

  /**
   * It has timed out. A check that heeds its signal has a turn of the event loop to say what it was waiting for, which becomes the cause of the timeout.
   * A check that says nothing is abandoned.
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

  /** Ends it as failed, whatever the check still does, and aborts its signal. */
  abandon(reason: Error): void {
    if (!this.isInFlight) return;
    const { context } = this;
    this.isPlain = false;
    this.isAbandoned = true;
    this.fail(reason);
    context?.abort(reason);
  }

  /** Gives those who wait a result, whatever the check still does, and aborts its signal. It counts for nothing. */
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
    // What it says at its abort: that it waits for something that is only slow.
    if (failure !== undefined && Degraded.is(failure.error)) return failed(name, durationMs, failure.error);
    // Not `expiry` itself: the check has it as the reason of its signal, and may have done anything to it.
    const cause = failure === undefined || failure.error === expiry ? undefined : { cause: failure.error };
    return failed(name, durationMs, timeoutAfter(timeoutMs, cause));
  }

  private renewContext(kind: ProbeKind): void {
    this.kind = kind;
    this.context = new ExecutionContext(kind, this);
  }

  /** Is free for the next execution. Returns those who waited for this one. */
  private release(): Waiting {
    const { run, place, others } = this;
    this.isInFlight = false;
    this.run = undefined;
    this.others = undefined;
    this.expiry = undefined;
    this.observers = undefined;
    this.traced = undefined;
    clearTimeout(this.timer);
    // A context whose signal nobody has serves the next execution too.
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

/** Once a check whose signal was aborted has had a turn of the event loop to settle. Those that are aborted first have had theirs first. */
export function afterLastWords(callback: () => void): void {
  setImmediate(() => setImmediate(callback));
}

function timeoutAfter(timeoutMs: number, options?: ErrorOptions): ProbeTimeoutError {
  return new ProbeTimeoutError(`timed out after ${String(timeoutMs)} ms`, options);
}
