import { performance } from 'node:perf_hooks';
import { showCount } from './duration.js';
import { MINUTE_MS, type Pace } from './pace.js';
import { reasonKeyOf } from './reason.js';
import type { ProbeResult } from '../report/report.js';

/** A probe stops flapping if its status does not change for this time. */
const STEADY_MS = 5 * MINUTE_MS;

/** Pauses between summaries. */
export const SUMMARY_PAUSES_MS: readonly number[] = [MINUTE_MS, 10 * MINUTE_MS, 60 * MINUTE_MS];

const MOST_REASONS = 20;
const REASONS_SHOWN = 3;
const LONGEST_REASON = 200;

/** Counts runs that did not pass, by their reasons. */
export class Tally {
  failedRuns = 0;
  #degradedRuns = 0;
  readonly #reasons = new Map<string, { readonly reason: string; count: number }>();

  add(result: ProbeResult, hasFailed: boolean): void {
    if (hasFailed) this.failedRuns += 1;
    else this.#degradedRuns += 1;
    const key = reasonKeyOf(result);
    const known = this.#reasons.get(key);
    if (known !== undefined) known.count += 1;
    else if (this.#reasons.size < MOST_REASONS) this.#reasons.set(key, { reason: shorten(result.failure?.detail ?? ''), count: 1 });
  }

  /** Returns, for example, `3 runs failed`. */
  describeRuns(): string {
    const degraded = `${showCount(this.#degradedRuns, 'run')} ${this.#degradedRuns === 1 ? 'was' : 'were'} degraded`;
    if (this.failedRuns === 0) return degraded;
    const failed = `${showCount(this.failedRuns, 'run')} failed`;
    return this.#degradedRuns === 0 ? failed : `${failed}, ${degraded}`;
  }

  /** Returns the most frequent reasons, with their counts if there are several. */
  describeReasons(): string {
    const sorted = [...this.#reasons.values()].toSorted((a, b) => b.count - a.count);
    const [first, second] = sorted;
    if (first === undefined || second === undefined) return first?.reason ?? '';
    const shown = sorted.slice(0, REASONS_SHOWN).map(({ reason, count }) => `${String(count)} × ${reason}`);
    return shown.join('; ');
  }
}

export interface FlappingListener {
  /** Called when a summary is due. `tally` contains the runs of the last `periodMs`. */
  onSummary(tally: Tally, periodMs: number): void;
  /** Called when the status has not changed for five minutes, or not at all before the first summary. */
  onSteady(): void;
}

/** The period in which a probe flaps. Its timer does not keep the process alive. */
export class Flapping {
  /** Number of changes since it began. */
  changes = 0;
  /** All runs since it began. */
  readonly total = new Tally();
  readonly #startedAt = performance.now();
  #changedAt = this.#startedAt;
  #periodStartedAt = this.#startedAt;
  #period = new Tally();
  #timer: NodeJS.Timeout | undefined;

  /** `pace` is the pace of the summaries. */
  constructor(
    private readonly pace: Pace,
    private readonly listener: FlappingListener,
  ) {
    pace.pause(this.#startedAt);
    this.#arm(this.#startedAt);
  }

  /** Time from the first change to the last. */
  get durationMs(): number {
    return this.#changedAt - this.#startedAt;
  }

  noteChange(now: number): void {
    this.#changedAt = now;
    this.changes += 1;
  }

  noteRun(result: ProbeResult, hasFailed: boolean): void {
    this.total.add(result, hasFailed);
    this.#period.add(result, hasFailed);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #arm(now: number): void {
    const dueAt = Math.min(this.pace.dueAt, this.#changedAt + STEADY_MS);
    this.#timer = setTimeout(() => this.#wake(), Math.max(1, Math.ceil(dueAt - now))).unref();
  }

  #wake(): void {
    const now = performance.now();
    if (this.changes === 0 || now - this.#changedAt >= STEADY_MS) return this.listener.onSteady();
    if (this.pace.take(now)) {
      const [tally, periodMs] = [this.#period, now - this.#periodStartedAt];
      this.#period = new Tally();
      this.#periodStartedAt = now;
      this.listener.onSummary(tally, periodMs);
    }
    this.#arm(now);
  }
}

function shorten(reason: string): string {
  return reason.length > LONGEST_REASON ? `${reason.slice(0, LONGEST_REASON)}…` : reason;
}
