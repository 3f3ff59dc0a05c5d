import { inspect } from 'node:util';
import type { ProbeKind } from '../probe.js';
import { readFailure, type ProbeFailure } from './failure.js';

/** Data that a passing check returned. */
export type ProbeData = Readonly<Record<string, string | number | boolean>>;

/** What became of one probe. */
export interface ProbeResult {
  readonly name: string;
  /**
   * `warn`: it is degraded, or it failed and that is tolerated, by `failureThreshold` or `critical: false`.
   * `excluded`: the request left it out, and it was not run.
   */
  readonly status: 'pass' | 'warn' | 'fail' | 'excluded';
  /** From the beginning of its run to its outcome, in milliseconds. */
  readonly durationMs: number;
  /** When the outcome was known, in milliseconds since 1970 UTC, by the system's clock. */
  readonly time: number;
  /** If it did not pass: why, for the public and for the operator. */
  readonly failure: ProbeFailure | undefined;
  /** If it did not pass: what was thrown, as it is. Not for the public. */
  readonly error: unknown;
  readonly data: ProbeData | undefined;
}

export type ReportStatus = 'pass' | 'warn' | 'fail';

/**
 * The answer to one kind of probe, or to one probe of it. Its results are made when `results` is first read: name it to copy a report,
 * for `{ ...report }` and `structuredClone(report)` leave it out. `JSON.stringify(report)` has it.
 */
export interface ProbeReport {
  readonly kind: ProbeKind;
  /** The worst of its results: `pass`, `warn`, `fail`. */
  readonly status: ReportStatus;
  /** In the order of registration, `lifecycle` first. */
  readonly results: readonly ProbeResult[];
  /** Names in `exclude` that this kind does not have. */
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

/** What a report is made from. */
export interface ReportSource {
  readonly kind: ProbeKind;
  readonly status: ReportStatus;
  readResults(): readonly ProbeResult[];
}

/** Makes its results when somebody reads them: for a passing answer without details nobody does, and they cost more than the checks. */
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

/** 200, or 503, or the status of the `NotReady` that is the only failure. */
export function statusCodeOf(report: ProbeReport): number {
  if (report.status !== 'fail') return 200;
  const [only, ...more] = report.results.filter(({ status }) => status === 'fail');
  return (more.length === 0 && only?.failure?.statusCode) || 503;
}

/** `public` reads what a check chose to say; `operator` reads everything. */
export type ReasonAudience = 'public' | 'operator';

export function reasonOf({ failure }: ProbeResult, audience: ReasonAudience): string | undefined {
  return audience === 'operator' ? failure?.detail : failure?.reason;
}
