import { setMaxListeners } from 'node:events';
import type { Batch } from './batch.js';
import { isError, ProbeTimeoutError } from '../errors.js';
import { OUTSIDE, type OutsideListener } from './outside.js';
import type { Probe, ProbeContext, ProbeKind } from '../probe.js';
import { failed, passed, type ProbeData, type ProbeResult } from '../report/report.js';

/** Told what becomes of the runs of one probe. */
export interface ExecutionObserver {
  /** A run has settled, or its time is over. What this returns is given to those who wait for it. */
  onResult(execution: Execution, result: ProbeResult): ProbeResult;
  /** A run that was abandoned has settled after all. */
  onLateSettlement(execution: Execution): void;
  /** The check reaches outside the process. */
  onOutside(what: string): void;
}

/**
 * The run in flight of one check. Whatever the check does, it becomes one `ProbeResult`, here and nowhere else.
 * It is used again for the next run, unless it was abandoned: then its check may still settle.
 */
export class Execution {
  /** What the run in flight began with, and who waits for it first; undefined while there is none. */
  batch: Batch | undefined;
  startedAt = 0;
  isAbandoned = false;
  #context: ExecutionContext | undefined;
  /** Set while the run in flight is over its time: however it settles then, it has failed. */
  #expiry: ProbeTimeoutError | undefined;
  #place = 0;
  /** Who waits too. Most runs have nobody, and an array would cost more than the run. */
  #others: Map<Batch, number> | undefined;

  constructor(
    readonly name: string,
    readonly timeoutMs: number,
    private readonly probe: Probe,
    private readonly observer: ExecutionObserver,
  ) {}

  begin(batch: Batch, place: number): void {
    this.batch = batch;
    this.#place = place;
    this.startedAt = batch.beginsAt;
    const context = (this.#context ??= new ExecutionContext(this.observer));
    context.kind = batch.kind;
    try {
      const returned = this.probe.check(context);
      if (isThenable(returned)) toPromise(returned).then(this.#accept, this.#fail);
      else {
        batch.turnClock();
        this.#accept(returned);
      }
    } catch (error) {
      batch.turnClock();
      this.#fail(error);
    }
  }

  wait(batch: Batch, place: number): void {
    (this.#others ??= new Map()).set(batch, place);
  }

  /** The one that it has begun with is kept: the time of the run counts from there. */
  stopWaiting(batch: Batch): void {
    this.#others?.delete(batch);
  }

  /** When the time of the run in flight is over, on the clock of `performance.now()`; never once it is. */
  get dueAt(): number {
    return this.batch === undefined || this.#expiry !== undefined ? Infinity : this.batch.armedAt + this.timeoutMs;
  }

  /**
   * The time of the run in flight is over. A check that heeds its signal has a turn of the event loop to say what it was waiting for: that is the cause
   * in the log, and the check has settled. One that says nothing is abandoned.
   */
  expire(): void {
    if (this.batch === undefined || this.#expiry !== undefined) return;
    const expiry = new ProbeTimeoutError(`timed out after ${String(this.timeoutMs)} ms`);
    this.#expiry = expiry;
    this.#context?.abort(expiry);
    afterLastWords(() => {
      if (this.#expiry === expiry) this.abandon(expiry);
    });
  }

  /** Ends the run in flight as failed whatever the check still does, and aborts its signal. */
  abandon(reason: Error): void {
    if (this.batch === undefined) return;
    this.isAbandoned = true;
    this.#fail(reason);
    this.#context?.abort(reason);
  }

  readonly #accept = (value: unknown): void => {
    if (value === undefined) return this.#pass(undefined);
    if (value === false) return this.#fail(new Error('the check returned false'));
    let data: ProbeData | undefined;
    try {
      if (isError(value)) return this.#fail(value);
      data = readData(value);
    } catch (error) {
      return this.#fail(error);
    }
    this.#pass(data);
  };

  #pass(data: ProbeData | undefined): void {
    if (this.batch === undefined) return this.observer.onLateSettlement(this);
    if (this.#expiry !== undefined) return this.#fail(this.#expiry);
    this.#end(passed(this.name, this.startedAt, this.batch.readSettledAt(), data));
  }

  readonly #fail = (error: unknown): void => {
    if (this.batch === undefined) return this.observer.onLateSettlement(this);
    if (this.#expiry !== undefined && error !== this.#expiry) setCause(this.#expiry, error);
    this.#end(failed(this.name, this.startedAt, this.batch.readSettledAt(), this.#expiry ?? error));
  };

  #end(outcome: ProbeResult): void {
    const batch = this.batch;
    const place = this.#place;
    const others = this.#others;
    this.batch = undefined;
    this.#expiry = undefined;
    // One whose signal nobody has serves the next run too: making one costs a tenth of a run of trivial checks.
    if (!this.isAbandoned && this.#context?.hasSignal) this.#context = undefined;
    this.#others = undefined;
    const result = this.observer.onResult(this, outcome);
    batch?.onResult(place, result);
    if (others !== undefined) for (const [other, itsPlace] of others) other.onResult(itsPlace, result);
  }
}

/** Of one run at a time. */
class ExecutionContext implements ProbeContext, OutsideListener {
  kind: ProbeKind = 'readiness';
  #controller: AbortController | undefined;

  constructor(private readonly observer: ExecutionObserver) {}

  get hasSignal(): boolean {
    return this.#controller !== undefined;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      // A check may hand it to as many requests as it makes: that is no leak.
      setMaxListeners(0, this.#controller.signal);
    }
    return this.#controller.signal;
  }

  [OUTSIDE](what: string): void {
    this.observer.onOutside(what);
  }

  /** Also where nobody has asked for the signal: who asks later finds it aborted. */
  abort(reason: Error): void {
    (this.#controller ??= new AbortController()).abort(reason);
  }
}

/** Once a check whose signal was aborted has had a turn of the event loop to settle. Those that are aborted first have had theirs first. */
export function afterLastWords(callback: () => void): void {
  setImmediate(() => setImmediate(callback));
}

/** As `new Error(message, { cause })` sets it. */
function setCause(error: Error, cause: unknown): void {
  Object.defineProperty(error, 'cause', { value: cause, writable: true, configurable: true, enumerable: false });
}

/** As `await` sees it: a function counts too, for clients are often callable. */
function isThenable(value: unknown): value is PromiseLike<unknown> {
  const canHaveThen = (typeof value === 'object' && value !== null) || typeof value === 'function';
  return canHaveThen && typeof (value as PromiseLike<unknown>).then === 'function';
}

/** As `Promise.resolve()`, which gives back one of this realm as it is, too, and costs 3 % of a run of trivial checks more. */
function toPromise(thenable: PromiseLike<unknown>): PromiseLike<unknown> {
  return thenable.constructor === Promise ? thenable : Promise.resolve(thenable);
}

/** The strings, numbers and booleans of a plain object; nothing of anything else. */
function readData(value: unknown): ProbeData | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return undefined;
  const entries = Object.entries(value).filter(([, one]) => typeof one === 'string' || typeof one === 'boolean' || Number.isFinite(one));
  return entries.length === 0 ? undefined : (Object.fromEntries(entries) as ProbeData);
}
