import type { Batch } from './batch.js';
import { isError, ProbeTimeoutError } from './errors.js';
import { OUTSIDE, type OutsideListener } from './outside.js';
import type { Probe, ProbeContext, ProbeKind } from './probe.js';
import { failed, passed, type ProbeData, type ProbeResult } from './report.js';

/** Told what becomes of the runs of one probe. */
export interface ExecutionObserver {
  /** A run has settled, or its time is over. What this returns is given to those who wait for it. */
  onResult(execution: Execution, result: ProbeResult): ProbeResult;
  /** A run that was abandoned has settled after all. */
  onLateSettlement(execution: Execution): void;
  /** The check reaches outside the process. */
  onOutside(what: string): void;
}

/** Waits for a result at a place of its own. */
export interface ExecutionWaiter {
  onResult(place: number, result: ProbeResult): void;
}

/**
 * The run in flight of one check. Whatever the check does, it becomes one `ProbeResult`, here and nowhere else.
 * It is used again for the next run, unless it was abandoned: then its check may still settle.
 */
export class Execution {
  /** What the run in flight began with; undefined while there is none. */
  batch: Batch | undefined;
  /** Of the run before, while none is in flight. */
  result: ProbeResult | undefined;
  startedAt = 0;
  isAbandoned = false;
  #context: ExecutionContext | undefined;
  /** Set while the run in flight is over its time: however it settles then, it has failed. */
  #expiry: ProbeTimeoutError | undefined;
  // The first one apart: most runs have no other, and an array for it would cost more than the run.
  #waiter: ExecutionWaiter | undefined;
  #place = 0;
  #others: { readonly waiter: ExecutionWaiter; readonly place: number }[] | undefined;

  constructor(
    readonly name: string,
    readonly timeoutMs: number,
    private readonly probe: Probe,
    private readonly observer: ExecutionObserver,
  ) {}

  begin(batch: Batch): void {
    this.batch = batch;
    this.startedAt = batch.startedAt;
    if (this.timeoutMs < batch.shortestTimeoutMs) batch.shortestTimeoutMs = this.timeoutMs;
    this.#context = new ExecutionContext(batch.kind, this.observer);
    try {
      const returned = this.probe.check(this.#context);
      if (isThenable(returned)) Promise.resolve(returned).then(this.#accept, this.#fail);
      else this.#accept(returned);
    } catch (error) {
      this.#fail(error);
    }
  }

  wait(waiter: ExecutionWaiter, place: number): void {
    if (this.#waiter === undefined) {
      this.#waiter = waiter;
      this.#place = place;
    } else {
      (this.#others ??= []).push({ waiter, place });
    }
  }

  stopWaiting(waiter: ExecutionWaiter): void {
    if (this.#waiter === waiter) this.#waiter = undefined;
    this.#others = this.#others?.filter((other) => other.waiter !== waiter);
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
    setImmediate(() =>
      setImmediate(() => {
        if (this.#expiry === expiry) this.abandon(expiry);
      }),
    );
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
    if (this.#expiry !== undefined && error !== this.#expiry) this.#expiry.cause = error;
    this.#end(failed(this.name, this.startedAt, this.batch.readSettledAt(), this.#expiry ?? error));
  };

  #end(outcome: ProbeResult): void {
    const waiter = this.#waiter;
    const place = this.#place;
    const others = this.#others;
    this.batch = undefined;
    this.#expiry = undefined;
    if (!this.isAbandoned) this.#context = undefined;
    this.#waiter = undefined;
    this.#others = undefined;
    const result = this.observer.onResult(this, outcome);
    this.result = result;
    waiter?.onResult(place, result);
    if (others !== undefined) for (const other of others) other.waiter.onResult(other.place, result);
  }
}

class ExecutionContext implements ProbeContext, OutsideListener {
  #controller: AbortController | undefined;
  readonly #observer: ExecutionObserver;

  constructor(
    readonly kind: ProbeKind,
    observer: ExecutionObserver,
  ) {
    this.#observer = observer;
  }

  get signal(): AbortSignal {
    return (this.#controller ??= new AbortController()).signal;
  }

  [OUTSIDE](what: string): void {
    this.#observer.onOutside(what);
  }

  /** Also where nobody has asked for the signal: who asks later finds it aborted. */
  abort(reason: Error): void {
    (this.#controller ??= new AbortController()).abort(reason);
  }
}

/** As `await` sees it: a function counts too, for clients are often callable. */
function isThenable(value: unknown): value is PromiseLike<unknown> {
  const canHaveThen = (typeof value === 'object' && value !== null) || typeof value === 'function';
  return canHaveThen && typeof (value as PromiseLike<unknown>).then === 'function';
}

/** The strings, numbers and booleans of a plain object; nothing of anything else. */
function readData(value: unknown): ProbeData | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return undefined;
  const entries = Object.entries(value).filter(([, one]) => typeof one === 'string' || typeof one === 'boolean' || Number.isFinite(one));
  return entries.length === 0 ? undefined : (Object.fromEntries(entries) as ProbeData);
}
