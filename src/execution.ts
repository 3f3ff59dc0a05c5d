import { ProbeTimeoutError } from './errors.js';
import type { Probe, ProbeContext, ProbeKind } from './probe.js';
import type { ProbeData, ProbeResult } from './report.js';

/** Told what becomes of the runs of one probe. */
export interface ExecutionObserver {
  /** The run has its result; those who wait for it hear of it next. */
  onResult(execution: Execution, result: ProbeResult): void;
  /** A run that was abandoned has settled after all. */
  onLateSettlement(execution: Execution): void;
}

/** Told once that a run has its result. */
export interface ExecutionWaiter {
  onExecutionEnd(): void;
}

/** One run of one check. Whatever the check does, it becomes one `ProbeResult`, here and nowhere else. */
export class Execution {
  /** Undefined while the run is in flight. */
  result: ProbeResult | undefined;
  /** When its time is over, on the clock of `performance.now()`; set once all checks of the request have begun. */
  dueAt = Infinity;
  /** Its time was over, or the registry was closed, before it settled. */
  isAbandoned = false;
  readonly #context: ExecutionContext;
  #waiters: ExecutionWaiter[] = [];

  constructor(
    readonly name: string,
    readonly timeoutMs: number,
    readonly startedAt: number,
    kind: ProbeKind,
    private readonly observer: ExecutionObserver,
  ) {
    this.#context = new ExecutionContext(kind);
  }

  start(probe: Probe): void {
    try {
      const returned = probe.check(this.#context);
      if (!isThenable(returned)) return this.#accept(returned);
      Promise.resolve(returned).then(
        (value) => this.#accept(value),
        (error: unknown) => this.#end('fail', error, undefined),
      );
    } catch (error) {
      this.#end('fail', error, undefined);
    }
  }

  wait(waiter: ExecutionWaiter): void {
    this.#waiters.push(waiter);
  }

  /** Ends the run as failed whatever the check still does, and aborts its signal. */
  abandon(reason: Error): void {
    if (this.result !== undefined) return;
    this.isAbandoned = true;
    this.#end('fail', reason, undefined);
    this.#context.abort(reason);
  }

  expire(): void {
    this.abandon(new ProbeTimeoutError(`timed out after ${String(this.timeoutMs)} ms`));
  }

  #accept(value: unknown): void {
    if (value === undefined) return this.#end('pass', undefined, undefined);
    if (value === false) return this.#end('fail', new Error('the check returned false'), undefined);
    if (value instanceof Error) return this.#end('fail', value, undefined);
    try {
      this.#end('pass', undefined, readData(value));
    } catch (error) {
      this.#end('fail', error, undefined);
    }
  }

  #end(status: 'pass' | 'fail', error: unknown, data: ProbeData | undefined): void {
    if (this.result !== undefined) return this.observer.onLateSettlement(this);
    const endedAt = performance.now();
    this.result = {
      name: this.name,
      status,
      durationMs: endedAt - this.startedAt,
      time: performance.timeOrigin + endedAt,
      error,
      data,
    };
    this.observer.onResult(this, this.result);
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.onExecutionEnd();
  }
}

class ExecutionContext implements ProbeContext {
  #controller: AbortController | undefined;
  #abortReason: Error | undefined;

  constructor(readonly kind: ProbeKind) {}

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#abortReason !== undefined) this.#controller.abort(this.#abortReason);
    }
    return this.#controller.signal;
  }

  /** @internal */
  abort(reason: Error): void {
    this.#abortReason = reason;
    this.#controller?.abort(reason);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as PromiseLike<unknown>).then === 'function';
}

/** The strings, numbers and booleans of a plain object; nothing of anything else. */
function readData(value: unknown): ProbeData | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return undefined;
  const entries = Object.entries(value).filter(([, one]) => typeof one === 'string' || typeof one === 'boolean' || Number.isFinite(one));
  return entries.length === 0 ? undefined : (Object.fromEntries(entries) as ProbeData);
}
