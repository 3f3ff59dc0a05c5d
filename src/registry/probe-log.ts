import { performance } from 'node:perf_hooks';
import { Degraded } from '../errors.js';
import { showCount, showDuration } from './duration.js';
import { Flapping, SUMMARY_PAUSES_MS, type Tally } from './flapping.js';
import type { FieldLogger, LogFields } from '../logger.js';
import { Outage } from './outage.js';
import { MINUTE_MS, Pace } from './pace.js';
import type { ProbeResult } from '../report/report.js';
import type { Monitor } from '../run/monitor.js';

/** Why it is normal that a probe fails: the application is still starting, or it is already draining. */
export type Excuse = 'starting' | 'draining';

/** A probe that stops passing twice within this time flaps. */
const FLAP_WINDOW_MS = 5 * MINUTE_MS;
/** A probe that has flapped before and stops passing within this time flaps again. */
const FLAP_MEMORY_MS = 60 * MINUTE_MS;

/** A start that takes longer is logged as a warning. */
const NORMAL_START_MS = MINUTE_MS;

export interface ProbeLogSettings {
  readonly logger: FieldLogger;
  /** Whether each new reason is logged at once, even if it follows another one soon, and compared word for word. */
  readonly isDeliberate: boolean;
  /** `hasPassed` says whether the probe has ever passed. */
  excuse(hasPassed: boolean): Excuse | undefined;
}

/**
 * The log of one probe: a line for each change of its status, and for each new reason while it fails.
 * A long outage is repeated, and a flapping probe is summarized, at growing intervals.
 */
export class ProbeLog {
  readonly #subject: string;
  #hasPassed = false;
  /** The outage since the probe last passed. */
  #outage: Outage | undefined;
  #lastResult: ProbeResult | undefined;
  #flapping: Flapping | undefined;
  #fellAt = -Infinity;
  #flappedAt = -Infinity;
  #summaries = new Pace(SUMMARY_PAUSES_MS);
  #reasonToldAt = -Infinity;

  constructor(
    private readonly monitor: Monitor,
    private readonly settings: ProbeLogSettings,
  ) {
    this.#subject = subjectOf(monitor);
  }

  /** `outcome` is the outcome of the run itself, before thresholds. */
  note(result: ProbeResult, previous: ProbeResult | undefined, outcome: ProbeResult): void {
    const now = performance.now();
    this.#lastResult = result;
    if (result.status === 'pass') this.#notePass(result, previous, now);
    else this.#noteTrouble(result, previous, outcome, now);
  }

  stop(): void {
    this.#flapping?.stop();
    this.#flapping = undefined;
  }

  #notePass(result: ProbeResult, previous: ProbeResult | undefined, now: number): void {
    const outage = this.#outage;
    const isFirst = !this.#hasPassed;
    this.#outage = undefined;
    this.#hasPassed = true;
    if (outage === undefined) return;
    if (this.#flapping !== undefined) return this.#flapping.noteChange(now);
    const { failedRuns } = outage;
    const howLong = showDuration(now - outage.startedAt);
    const failures = failedRuns === 0 ? '' : `, ${showCount(failedRuns, 'run')} failed`;
    this.#say('info', `${isFirst ? 'passes for the first time' : 'passes again'} after ${howLong}${failures}`, {
      ...fieldsOf(result, previous),
      ...outage.describe(now),
    });
  }

  #noteTrouble(result: ProbeResult, previous: ProbeResult | undefined, outcome: ProbeResult, now: number): void {
    const hasFailed = outcome.status !== 'pass' && !Degraded.is(outcome.error);
    // A pass that `successThreshold` does not accept yet has no reason of its own.
    const isReason = outcome.status !== 'pass' || Degraded.is(result.error);
    const isFall = this.#outage === undefined;
    const excuse = this.settings.excuse(this.#hasPassed);
    const outage = (this.#outage ??= new Outage(now, excuse === 'starting'));
    if (hasFailed) outage.failedRuns += 1;
    if (excuse === 'draining') this.stop();
    if (this.#flapping !== undefined) {
      const isChange = isFall || result.status !== previous?.status;
      if (isChange) this.#flapping.noteChange(now);
      if (isReason) this.#flapping.noteRun(result, hasFailed);
      // This may be the start of an outage. A summary must not hide its reasons.
      if (isReason && this.#flapping.changes === 0) this.#noteSame(result, previous, { outage, excuse, now });
    } else if (isFall && this.#isFlap(now) && excuse === undefined) {
      this.#startFlapping(result, previous, { outage, hasFailed, now });
    } else if (isFall || result.status !== previous?.status) {
      this.#tellTrouble(result, previous, { outage, excuse, now });
    } else if (isReason) {
      this.#noteSame(result, previous, { outage, excuse, now });
    }
    // A slow pass is a pass.
    if (outcome.status === 'pass' && isReason) this.#hasPassed = true;
    // A failure during the start does not count towards flapping.
    if (isFall && excuse === undefined) this.#fellAt = now;
  }

  #noteSame(result: ProbeResult, previous: ProbeResult | undefined, moment: Moment): void {
    const { outage, excuse, now } = moment;
    const { isDeliberate } = this.settings;
    const isUrgent = isDeliberate && excuse !== 'starting';
    const isAllowed = isUrgent || now - this.#reasonToldAt >= MINUTE_MS;
    if (isAllowed && outage.isNews(result, { isExact: isDeliberate, now })) {
      this.#reasonToldAt = now;
      return this.#tellTrouble(result, previous, moment, excuse !== 'draining');
    }
    // While the application starts or drains, other lines say so.
    if ((isDeliberate && excuse !== undefined) || !outage.recalls.take(now)) return;
    const failures = outage.failedRuns === 0 ? '' : `, ${showCount(outage.failedRuns, 'run')} failed`;
    const howLong = ` after ${showDuration(now - outage.startedAt)}${failures}`;
    this.#say(levelOf(moment), `${verbOf(result, excuse, true)}${howLong}: ${detailOf(result)}`, {
      ...fieldsOf(result, previous),
      ...outage.describe(now),
    });
  }

  #tellTrouble(result: ProbeResult, previous: ProbeResult | undefined, moment: Moment, isStill = false): void {
    const { outage, excuse, now } = moment;
    outage.markAsTold(result, { isExact: this.settings.isDeliberate, now });
    const isBetter = previous?.status === 'fail' && result.status === 'warn';
    const failures = outage.failedRuns === 0 ? '' : `, ${showCount(outage.failedRuns, 'run')} failed`;
    const verb = isBetter
      ? `no longer fails after ${showDuration(now - outage.startedAt)}${failures}, and is degraded`
      : verbOf(result, excuse, isStill);
    this.#say(levelOf(moment), `${verb}: ${detailOf(result)}`, {
      ...fieldsOf(result, previous),
      ...(isStill || isBetter ? outage.describe(now) : {}),
    });
  }

  /** A probe that flaps again continues with the pauses that it had reached. */
  #isFlap(now: number): boolean {
    if (now - this.#flappedAt < FLAP_MEMORY_MS) return true;
    this.#summaries = new Pace(SUMMARY_PAUSES_MS);
    return now - this.#fellAt < FLAP_WINDOW_MS;
  }

  #startFlapping(
    result: ProbeResult,
    previous: ProbeResult | undefined,
    { outage, hasFailed, now }: { readonly outage: Outage; readonly hasFailed: boolean; readonly now: number },
  ): void {
    this.#flapping = new Flapping(this.#summaries, {
      onSummary: (tally, periodMs) => this.#sumUp(tally, periodMs),
      onSteady: () => this.#endFlapping(),
    });
    this.#flapping.noteRun(result, hasFailed);
    outage.markAsTold(result, { isExact: this.settings.isDeliberate, now });
    const verb = result.status === 'fail' ? 'failed again' : 'is degraded again';
    const since = showDuration(now - this.#fellAt);
    const text = `${verb}, ${since} after the last time: ${detailOf(result)} (further changes are summarized)`;
    this.#say('warn', text, fieldsOf(result, previous));
  }

  #sumUp(tally: Tally, periodMs: number): void {
    const reasons = tally.describeReasons();
    const text = `flaps: ${tally.describeRuns()} in ${showDuration(periodMs)}${reasons === '' ? '' : ` (${reasons})`}. It ${this.#verbNow} now`;
    this.#say('warn', text, { status: this.#lastResult?.status, reason: reasons, failedRuns: tally.failedRuns });
  }

  #endFlapping(): void {
    const [flapping, outage, last] = [this.#flapping, this.#outage, this.#lastResult];
    this.#flapping = undefined;
    // Without a change it was an outage from the start, and was logged as one.
    if (flapping === undefined || last === undefined || flapping.changes === 0) return;
    const now = performance.now();
    if (flapping.changes > 1) this.#flappedAt = now;
    const flapped = `${showDuration(flapping.durationMs)} in which ${flapping.total.describeRuns()}`;
    if (outage === undefined) {
      const fields = { status: 'pass', previous: last.status, failedRuns: flapping.total.failedRuns };
      return this.#say('info', `passes steadily again, after ${flapped}`, fields);
    }
    outage.markAsTold(last, { isExact: this.settings.isDeliberate, now });
    this.#say('warn', `${this.#verbNow} steadily, after ${flapped}: ${detailOf(last)}`, {
      ...fieldsOf(last, last),
      ...outage.describe(now),
    });
  }

  get #verbNow(): string {
    if (this.#outage === undefined) return 'passes';
    return this.#lastResult?.status === 'fail' ? 'fails' : 'is degraded';
  }

  #say(level: 'info' | 'warn', text: string, fields: LogFields): void {
    const { name, kinds } = this.monitor;
    this.settings.logger[level](`${this.#subject} ${text}`, { probe: name, kinds, ...fields });
  }
}

/** Returns the name of a probe in messages. */
export function subjectOf({ kinds, name }: Monitor): string {
  return `${kinds.join(' and ')} probe ${name}`;
}

interface Moment {
  readonly outage: Outage;
  readonly excuse: Excuse | undefined;
  readonly now: number;
}

function levelOf({ outage, excuse, now }: Moment): 'info' | 'warn' {
  if (excuse === 'draining') return 'info';
  return excuse === 'starting' && now - outage.startedAt < NORMAL_START_MS ? 'info' : 'warn';
}

function verbOf({ status }: ProbeResult, excuse: Excuse | undefined, isStill: boolean): string {
  if (status === 'warn') return isStill ? 'is still degraded' : 'is degraded';
  if (excuse === 'starting') return isStill ? 'has still not passed' : 'has not passed yet';
  return isStill ? 'still fails' : 'failed';
}

function detailOf({ failure }: ProbeResult): string {
  return failure?.detail ?? '';
}

function fieldsOf({ status, durationMs, failure, error }: ProbeResult, previous: ProbeResult | undefined): LogFields {
  return {
    status,
    previous: previous?.status,
    reason: failure?.detail,
    durationMs: Math.round(durationMs * 1_000) / 1_000,
    err: error,
  };
}
