import { performance } from 'node:perf_hooks';
import type { Batch } from './batch.js';
import { ProbeTimeoutError } from './errors.js';
import type { ExecutionWaiter } from './execution.js';
import { Monitor } from './monitor.js';
import { failed, type ProbeResult } from './report.js';

const SETTLED = Promise.resolve();

/** Timers count in whole milliseconds and may fire that much early on the clock of `performance.now()`. */
const EARLIEST_MS = 1;

/**
 * Starts all checks together, keeps their order, and calls `finish` with a result for each as soon as the last is known,
 * at the latest after `deadlineMs`. An entry that is a result already stands as it is.
 */
export function runTogether<T>(
  entries: readonly (Monitor | ProbeResult)[],
  batch: Batch,
  deadlineMs: number,
  finish: (results: ProbeResult[]) => T,
): Promise<T> {
  return new Promise((resolve) => {
    new Run(entries, batch, deadlineMs, (results) => resolve(finish(results))).start();
  });
}

/** One timer guards all checks that a run has begun: it is armed for the next of their timeouts, or for the deadline. */
class Run implements ExecutionWaiter {
  readonly #results: (ProbeResult | undefined)[];
  /** Starts at one, for the loop that begins the checks: what ends meanwhile must not end the run. */
  #pending = 1;
  #deadlineAt = Infinity;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly entries: readonly (Monitor | ProbeResult)[],
    private readonly batch: Batch,
    private readonly deadlineMs: number,
    private readonly finish: (results: ProbeResult[]) => void,
  ) {
    this.#results = Array.from(entries, () => undefined);
  }

  start(): void {
    const { entries, batch } = this;
    // To the length of now: a check may register another probe, which is none of this run.
    const { length } = this.#results;
    for (let place = 0; place < length; place += 1) {
      const entry = entries[place];
      const result = entry instanceof Monitor ? entry.join(batch, this, place) : entry;
      if (result === undefined) this.#pending += 1;
      else this.#results[place] = result;
    }
    batch.armedAt = performance.now();
    this.#deadlineAt = batch.armedAt + this.deadlineMs;
    this.#pending -= 1;
    if (this.#pending === 0) this.#answer();
    else void SETTLED.then(this.#armFirst);
  }

  onResult(place: number, result: ProbeResult): void {
    this.#results[place] = result;
    this.#pending -= 1;
    if (this.#pending > 0) return;
    clearTimeout(this.#timer);
    this.#answer();
  }

  /** After the microtasks that wait already: checks that read memory alone end in them, and need no timer. */
  readonly #armFirst = (): void => {
    if (this.#pending > 0) this.#arm(Math.min(this.deadlineMs, this.batch.shortestTimeoutMs));
  };

  #arm(delayMs: number): void {
    // After a blocked event loop, answers that have arrived in time wait behind the timer: they are let in first.
    this.#timer = setTimeout(() => setImmediate(() => this.#judge()), delayMs);
  }

  #judge(): void {
    const now = performance.now();
    const isOver = (dueAt: number) => dueAt - now < EARLIEST_MS;
    for (const entry of this.entries) if (entry instanceof Monitor && isOver(entry.dueAt(this.batch))) entry.expire();
    if (this.#pending > 0 && isOver(this.#deadlineAt)) this.#miss(now);
    let dueAt = this.#pending > 0 ? this.#deadlineAt : Infinity;
    for (const entry of this.entries) if (entry instanceof Monitor) dueAt = Math.min(dueAt, entry.dueAt(this.batch));
    if (dueAt !== Infinity) this.#arm(dueAt - now);
  }

  /** Answers without those that are not known yet. The ones that this run has begun are guarded on. */
  #miss(now: number): void {
    const error = new ProbeTimeoutError(`not known within the deadline of ${String(this.deadlineMs)} ms`);
    for (const [place, entry] of this.entries.entries()) {
      if (this.#results[place] !== undefined || !(entry instanceof Monitor)) continue;
      entry.leave(this);
      this.#results[place] = failed(entry.name, this.batch.startedAt, now, error);
    }
    this.#pending = 0;
    this.#answer();
  }

  #answer(): void {
    this.finish(this.#results as ProbeResult[]);
  }
}
