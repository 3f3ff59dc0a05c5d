import { performance } from 'node:perf_hooks';
import { Batch } from './batch.js';
import { ProbeTimeoutError } from '../errors.js';
import { afterLastWords } from './execution.js';
import { Monitor } from './monitor.js';
import type { ProbeKind } from '../probe.js';
import { failed, type ProbeResult } from '../report/report.js';

/** Timers count in whole milliseconds and may fire that much early on the clock of `performance.now()`. */
const EARLIEST_MS = 1;

export interface RunSettings {
  readonly kind: ProbeKind;
  /** In the order of their results. One that is a result already stands as it is. */
  readonly entries: readonly (Monitor | ProbeResult)[];
  readonly deadlineMs: number;
  /** The one of the entries that begins when all others are known. */
  readonly last?: Monitor | undefined;
  /** Whether a result that is there already will do; a schedule wants a new one. */
  readonly acceptsLatest?: boolean;
}

/** Starts all checks together, and calls `finish` with their results as soon as all are known, at the latest after `deadlineMs`. */
export function runTogether<T>(settings: RunSettings, finish: (results: ProbeResult[]) => T): Promise<T> {
  return new Promise((resolve) => new Run(settings, finish, resolve).start());
}

/** One timer guards all checks that a run has begun: it is armed for the next of their timeouts, or for the deadline. */
class Run<T> extends Batch {
  /** Each entry at its place until its result is known. */
  readonly #results: (Monitor | ProbeResult)[];
  #pending: number;
  #last: Monitor | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly settings: RunSettings,
    private readonly finish: (results: ProbeResult[]) => T,
    private readonly resolve: (answer: T) => void,
  ) {
    super(settings.kind, settings.acceptsLatest ?? true);
    // A copy: a check may register another probe, which is none of this run.
    this.#results = settings.entries.slice();
    // One more, for the loop that begins the checks: what ends meanwhile must not end the run.
    this.#pending = this.#results.length + 1;
    this.#last = settings.last;
  }

  start(): void {
    const { length } = this.#results;
    for (let place = 0; place < length; place += 1) {
      const entry = this.#results[place] as Monitor | ProbeResult;
      if (entry === this.#last) this.#pending -= 1;
      else if (entry instanceof Monitor) entry.join(this, place);
      else this.onResult(place, entry);
    }
    this.arm();
    this.#pending -= 1;
    if (this.#pending === 0) this.#end();
  }

  onResult(place: number, result: ProbeResult): void {
    // What comes after the answer is none of it, and need not be guarded any longer.
    if (this.#pending === 0) return this.#guardOn();
    this.#results[place] = result;
    this.#pending -= 1;
    if (this.#pending === 0) this.#end();
  }

  /** Checks that read memory alone end in the microtasks that wait already, and need no timer. */
  protected onTurn(): void {
    if (this.#timer === undefined && this.#pending > 0) this.#armNext(performance.now());
  }

  get #deadlineAt(): number {
    return this.armedAt + this.settings.deadlineMs;
  }

  /** For what is over next: the run, or a check that it has begun, which is guarded on when the run is over before. */
  #armNext(now: number): void {
    let dueAt = this.#pending > 0 ? this.#deadlineAt : Infinity;
    for (const entry of this.settings.entries) if (entry instanceof Monitor) dueAt = Math.min(dueAt, entry.dueAt(this));
    if (dueAt === Infinity) return;
    // After a blocked event loop, answers that have arrived in time wait behind the timer: they are let in first.
    this.#timer = setTimeout(() => setImmediate(() => this.#judge()), dueAt - now);
  }

  #judge(): void {
    const now = performance.now();
    const isOver = (dueAt: number) => dueAt - now < EARLIEST_MS;
    for (const entry of this.settings.entries) if (entry instanceof Monitor && isOver(entry.dueAt(this))) entry.expire();
    // Not at once: what has just expired is known in a moment, with its cause.
    if (this.#pending > 0 && isOver(this.#deadlineAt)) afterLastWords(() => this.#miss());
    else this.#armNext(now);
  }

  /** Answers without those that are not known yet. */
  #miss(): void {
    const now = performance.now();
    if (this.#pending > 0) {
      const error = new ProbeTimeoutError(`not known within the deadline of ${String(this.settings.deadlineMs)} ms`);
      for (const [place, entry] of this.#results.entries()) {
        if (entry === this.#last || !(entry instanceof Monitor)) continue;
        this.#results[place] = entry.leave(this, failed(entry.name, this.startedAt, now, error));
      }
      this.#pending = 0;
      this.#end();
    }
    this.#guardOn();
  }

  /** What it has begun and is in flight still. */
  #guardOn(): void {
    clearTimeout(this.#timer);
    this.#armNext(performance.now());
  }

  #end(): void {
    const last = this.#last;
    if (last === undefined) {
      clearTimeout(this.#timer);
      this.resolve(this.finish(this.#results as ProbeResult[]));
      return;
    }
    this.#last = undefined;
    this.#pending = 1;
    this.beginsAt = this.readSettledAt();
    last.join(this, this.#results.indexOf(last));
  }
}
