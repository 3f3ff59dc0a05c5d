import type { ProbeKind } from '../probe.js';
import { passed, type ProbeResult, type ReportStatus } from '../report/report.js';
import type { Monitor } from './monitor.js';

/** When a check began and when it passed, as readings of `performance.now()`. */
export interface Pass {
  readonly startedAt: number;
  readonly endedAt: number;
  /** Unix time of the end, in milliseconds. */
  readonly time: number;
}

/**
 * The outcomes of a run that has ended. The result of a passed check is created when it is read.
 * `startedAt`, `endedAt` and `time` apply to all checks without an outcome of their own. Usually these are all checks.
 */
export class EndedRun implements Pass {
  constructor(
    readonly kind: ProbeKind,
    /** The worst status of all reported checks. */
    readonly status: ReportStatus,
    private readonly monitors: readonly Monitor[],
    /** The outcomes by place. Undefined if no check has an outcome of its own. */
    private readonly outcomes: readonly (Pass | ProbeResult | undefined)[] | undefined,
    /** Whether the first check began after all others had ended. If it has no outcome of its own, it took no time. */
    private readonly isFirstLast: boolean,
    readonly startedAt: number,
    readonly endedAt: number,
    readonly time: number,
  ) {}

  /** Returns undefined if the probe was not part of the run, or if its outcome is more than a plain pass. */
  passOf(monitor: Monitor): Pass | undefined {
    const place = this.monitors.indexOf(monitor);
    if (place === -1) return undefined;
    const outcome = this.outcomeAt(place);
    return 'name' in outcome ? undefined : outcome;
  }

  readResults(): ProbeResult[] {
    return this.monitors.map(({ name }, place) => {
      const outcome = this.outcomeAt(place);
      return 'name' in outcome ? outcome : passed(name, outcome.endedAt - outcome.startedAt, outcome.time, undefined);
    });
  }

  private outcomeAt(place: number): Pass | ProbeResult {
    const { outcomes, isFirstLast, endedAt, time } = this;
    return outcomes?.[place] ?? (isFirstLast && place === 0 ? { startedAt: endedAt, endedAt, time } : this);
  }
}
