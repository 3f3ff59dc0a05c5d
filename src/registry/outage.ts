import type { LogFields } from '../logger.js';
import { MINUTE_MS, Pace } from './pace.js';
import { reasonKeyOf } from './reason.js';
import type { ProbeResult } from '../report/report.js';

const minutes = (...counts: number[]): readonly number[] => counts.map((count) => count * MINUTE_MS);

/** Pauses before the log repeats that an outage continues. With at most one hour between lines, the last hour of a log always shows the outage. */
const RECALL_PAUSES_MS = minutes(10, 20, 40, 60);
/** The same for a start. The pauses are shorter, because Kubernetes ends a failing start sooner. */
const START_RECALL_PAUSES_MS = minutes(1, 2, 4, 8, 16, 32, 60);
/** Pauses before a reason that was already logged is logged again. */
const KNOWN_REASON_PAUSES_MS = minutes(1, 2, 4, 8, 16, 32, 60);

/** After this many reasons, new ones count as known. An outage with another reason in every run must not fill the log. */
const MOST_REASONS = 20;

interface Telling {
  /** Whether reasons that differ in their numbers are different reasons. */
  readonly isExact: boolean;
  readonly now: number;
}

/** The time since a probe last passed, and what was logged about it. */
export class Outage {
  failedRuns = 0;
  readonly recalls: Pace;
  readonly #told = new Set<string>();
  readonly #knownReasons = new Pace(KNOWN_REASON_PAUSES_MS);
  #lastTold: string | undefined;

  constructor(
    readonly startedAt: number,
    isStart: boolean,
  ) {
    this.recalls = new Pace(isStart ? START_RECALL_PAUSES_MS : RECALL_PAUSES_MS);
  }

  /** Returns whether the reason differs from that of the last line and was not logged recently. */
  isNews(result: ProbeResult, { isExact, now }: Telling): boolean {
    const key = keyOf(result, isExact);
    if (key === this.#lastTold) return false;
    return isExact || (!this.#told.has(key) && this.#told.size < MOST_REASONS) || this.#knownReasons.take(now);
  }

  markAsTold(result: ProbeResult, { isExact, now }: Telling): void {
    const key = keyOf(result, isExact);
    this.#lastTold = key;
    if (this.#told.size < MOST_REASONS) this.#told.add(key);
    this.recalls.pause(now);
  }

  describe(now: number): LogFields {
    return { downMs: Math.round(now - this.startedAt), failedRuns: this.failedRuns };
  }
}

function keyOf(result: ProbeResult, isExact: boolean): string {
  return isExact ? (result.failure?.detail ?? '') : reasonKeyOf(result);
}
