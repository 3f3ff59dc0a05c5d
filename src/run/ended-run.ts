import type { ProbeKind } from '../probe.js';
import { passed, type ProbeResult, type ReportStatus } from '../report/report.js';
import type { Monitor } from './monitor.js';

/** When a check began and when it passed, as readings of `performance.now()`. */
export interface Pass {
  readonly startedAt: number;
  readonly endedAt: number;
  /** The end by the system's clock, in milliseconds since 1970 UTC. */
  readonly time: number;
}

/**
 * What a run leaves behind. The result of a check that passed is made when somebody reads it.
 * `startedAt`, `endedAt` and `time` are those of the checks that have no outcome of their own: usually all.
 */
export class EndedRun implements Pass {
  constructor(
    readonly kind: ProbeKind,
    /** The worst that is reported. */
    readonly status: ReportStatus,
    private readonly monitors: readonly Monitor[],
    /** By place. Undefined if no check has an outcome of its own. */
    private readonly outcomes: readonly (Pass | ProbeResult | undefined)[] | undefined,
    /** Whether the first check began after all others had ended. Unless it has an outcome of its own, it took no time. */
    private readonly isFirstLast: boolean,
    readonly startedAt: number,
    readonly endedAt: number,
    readonly time: number,
  ) {}

  /** Undefined if the probe did not take part, or if there is more to say about it than that it passed. */
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
