import { ProbeTimeoutError } from './errors.js';
import { Execution, type ExecutionWaiter } from './execution.js';
import { Monitor } from './monitor.js';
import type { ProbeKind } from './probe.js';
import type { ProbeResult } from './report.js';

/** Timers count in whole milliseconds and may fire that much early on the clock of `performance.now()`. */
const EARLIEST_MS = 1;

/**
 * Starts all checks together, keeps their order, and calls `finish` with a result for each as soon as the last is known,
 * at the latest after `deadlineMs`. An entry that is a result already stands as it is.
 */
export function runTogether<T>(
  entries: readonly (Monitor | ProbeResult)[],
  kind: ProbeKind,
  deadlineMs: number,
  finish: (results: ProbeResult[]) => T,
): Promise<T> {
  return new Promise((resolve) => {
    new Run(deadlineMs, (results) => resolve(finish(results))).start(entries, kind);
  });
}

/** One timer guards all checks of a run: it is armed for the next of their timeouts, or for the deadline. */
class Run implements ExecutionWaiter {
  readonly #slots: (Execution | ProbeResult)[] = [];
  #pending = 0;
  #deadlineAt = Infinity;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly deadlineMs: number,
    private readonly finish: (results: ProbeResult[]) => void,
  ) {}

  start(entries: readonly (Monitor | ProbeResult)[], kind: ProbeKind): void {
    const startedAt = performance.now();
    for (const entry of entries) {
      const slot = entry instanceof Monitor ? entry.join(kind, startedAt) : entry;
      this.#slots.push(slot);
      if (!isInFlight(slot)) continue;
      this.#pending += 1;
      slot.wait(this);
    }
    if (this.#pending === 0) return this.#end();
    // Timeouts count from here: a check that blocks the event loop before its first await takes no time from the others.
    const armedAt = performance.now();
    this.#deadlineAt = armedAt + this.deadlineMs;
    for (const slot of this.#slots) {
      if (isInFlight(slot) && slot.dueAt === Infinity) slot.dueAt = armedAt + slot.timeoutMs;
    }
    this.#arm(armedAt);
  }

  onExecutionEnd(): void {
    this.#pending -= 1;
    if (this.#pending === 0 && this.#deadlineAt !== Infinity) this.#end();
  }

  #arm(now: number): void {
    let dueAt = this.#deadlineAt;
    for (const slot of this.#slots) {
      if (isInFlight(slot) && slot.dueAt < dueAt) dueAt = slot.dueAt;
    }
    this.#timer = setTimeout(() => this.#onTimer(), dueAt - now);
  }

  /** After a blocked event loop, answers that have arrived in time wait behind the timer: they are let in first. */
  #onTimer(): void {
    setImmediate(() => this.#judge());
  }

  #judge(): void {
    if (this.#pending === 0) return;
    const now = performance.now();
    const isOver = (dueAt: number) => dueAt - now < EARLIEST_MS;
    for (const slot of this.#slots) {
      if (isInFlight(slot) && isOver(slot.dueAt)) slot.expire();
    }
    if (this.#pending === 0) return;
    if (isOver(this.#deadlineAt)) return this.#end();
    this.#arm(now);
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.#pending = 0;
    this.finish(this.#slots.map((slot) => (slot instanceof Execution ? (slot.result ?? missDeadline(slot, this.deadlineMs)) : slot)));
  }
}

function isInFlight(slot: Execution | ProbeResult): slot is Execution {
  return slot instanceof Execution && slot.result === undefined;
}

function missDeadline(execution: Execution, deadlineMs: number): ProbeResult {
  const error = new ProbeTimeoutError(`not known within the deadline of ${String(deadlineMs)} ms`);
  return {
    name: execution.name,
    status: 'fail',
    durationMs: performance.now() - execution.startedAt,
    time: Date.now(),
    error,
    data: undefined,
  };
}
