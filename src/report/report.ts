import { inspect } from 'node:util';
import type { ProbeKind } from '../probe.js';
import { readFailure, type ProbeFailure } from './failure.js';

/** Data that a passing check has returned. */
export type ProbeData = Readonly<Record<string, string | number | boolean>>;

/** The result of one probe. */
export interface ProbeResult {
  /** Name of the probe. */
  readonly name: string;
  /**
   * - `pass`: the probe passed.
   * - `warn`: the probe is degraded, or its failure is tolerated because of `failureThreshold` or `critical: false`.
   * - `fail`: the probe failed.
   * - `excluded`: the request excluded the probe, so it was not run.
   */
  readonly status: 'pass' | 'warn' | 'fail' | 'excluded';
  /** Time from the start of the run to its outcome, in milliseconds. */
  readonly durationMs: number;
  /** Unix time when the outcome was known, in milliseconds. */
  readonly time: number;
  /** Why the probe did not pass, for the public and for the operator. Undefined if it passed. */
  readonly failure: ProbeFailure | undefined;
  /** The thrown value if the probe did not pass. It is not meant for the public. */
  readonly error: unknown;
  /** Data that the check has returned, if any. */
  readonly data: ProbeData | undefined;
}

export type ReportStatus = 'pass' | 'warn' | 'fail';

/**
 * The report on one kind of probe, or on one probe of that kind. Its results are created when `results` is first read.
 * Therefore `{ ...report }` and `structuredClone(report)` leave `results` out: copy it by name. `JSON.stringify(report)` includes it.
 */
export interface ProbeReport {
  readonly kind: ProbeKind;
  /** The worst status of the results. */
  readonly status: ReportStatus;
  /** The results in the order of registration. `lifecycle` comes first. */
  readonly results: readonly ProbeResult[];
  /** Names in `exclude` that no probe of this kind has. */
  readonly unknownExcludes: readonly string[];
}

export function passed(name: string, durationMs: number, time: number, data: ProbeData | undefined): ProbeResult {
  return { name, status: 'pass', durationMs, time, failure: undefined, error: undefined, data };
}

export function failed(name: string, durationMs: number, error: unknown): ProbeResult {
  return { name, status: 'fail', durationMs, time: Date.now(), failure: readFailure(error), error, data: undefined };
}

export function excluded(name: string): ProbeResult {
  return { name, status: 'excluded', durationMs: 0, time: Date.now(), failure: undefined, error: undefined, data: undefined };
}

export function worseOf(worst: ReportStatus, { status }: ProbeResult): ReportStatus {
  if (status === 'fail' || worst === 'fail') return 'fail';
  return status === 'warn' ? 'warn' : worst;
}

/** The source of a report. */
export interface ReportSource {
  readonly kind: ProbeKind;
  readonly status: ReportStatus;
  readResults(): readonly ProbeResult[];
}

/** Creates its results when they are read. A passing response without details does not read them, and creating them costs more than running the checks. */
class LazyReport implements ProbeReport {
  readonly kind: ProbeKind;
  readonly status: ReportStatus;
  #source: ReportSource | undefined;
  #results: readonly ProbeResult[] | undefined;

  constructor(
    source: ReportSource,
    readonly unknownExcludes: readonly string[],
  ) {
    this.kind = source.kind;
    this.status = source.status;
    this.#source = source;
  }

  get results(): readonly ProbeResult[] {
    this.#results ??= this.#source?.readResults() ?? [];
    this.#source = undefined;
    return this.#results;
  }

  toJSON(): ProbeReport {
    const { kind, status, results, unknownExcludes } = this;
    return { kind, status, results, unknownExcludes };
  }

  [inspect.custom](): ProbeReport {
    return this.toJSON();
  }
}

export function makeReport(source: ReportSource, unknownExcludes: readonly string[]): ProbeReport {
  return new LazyReport(source, unknownExcludes);
}

/** Returns 200, 503, or the status of a `NotReady` if it is the only failure. */
export function statusCodeOf(report: ProbeReport): number {
  if (report.status !== 'fail') return 200;
  const [only, ...more] = report.results.filter(({ status }) => status === 'fail');
  return (more.length === 0 && only?.failure?.statusCode) || 503;
}

/** `public` sees only messages that a check has written for the public. `operator` sees everything. */
export type ReasonAudience = 'public' | 'operator';

export function reasonOf({ failure }: ProbeResult, audience: ReasonAudience): string | undefined {
  return audience === 'operator' ? failure?.detail : failure?.reason;
}
