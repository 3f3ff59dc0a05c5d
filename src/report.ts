import { describeError, NotReady, ProbeTimeoutError } from './errors.js';
import type { ProbeKind } from './probe.js';

/** Data that a passing check returned. */
export type ProbeData = Readonly<Record<string, string | number | boolean>>;

/** What became of one probe. */
export interface ProbeResult {
  readonly name: string;
  /** `excluded`: the request left it out, and it was not run. */
  readonly status: 'pass' | 'fail' | 'excluded';
  /** From the beginning of its run to its outcome, in milliseconds. */
  readonly durationMs: number;
  /** When the outcome was known, in milliseconds since 1970 UTC. */
  readonly time: number;
  /** What was thrown where it failed. Not for the public: see `publicReason`. */
  readonly error: unknown;
  readonly data: ProbeData | undefined;
}

/** The answer to one kind of probe, or to one probe of it. */
export interface ProbeReport {
  readonly kind: ProbeKind;
  /** `fail` where at least one result is. */
  readonly status: 'pass' | 'fail';
  /** In the order of registration, `lifecycle` first. */
  readonly results: readonly ProbeResult[];
  /** Names in `exclude` that this kind does not have. */
  readonly unknownExcludes: readonly string[];
}

export function makeReport(kind: ProbeKind, results: readonly ProbeResult[], unknownExcludes: readonly string[]): ProbeReport {
  return { kind, status: results.some(isFailure) ? 'fail' : 'pass', results, unknownExcludes };
}

/** 200, or 503, or the status of the `NotReady` that is the only failure. */
export function statusCodeOf(report: ProbeReport): number {
  if (report.status === 'pass') return 200;
  const [failure, ...more] = report.results.filter(isFailure);
  return more.length === 0 && NotReady.is(failure?.error) ? failure.error.status : 503;
}

/** `public` is told what a check chose to say, or that its time was over; `operator` is told everything. */
export type ReasonAudience = 'public' | 'operator';

/** Why a result failed, in one line. */
export function reasonOf({ error }: ProbeResult, audience: ReasonAudience): string {
  if (audience === 'operator' || NotReady.is(error) || ProbeTimeoutError.is(error)) return describeError(error);
  return 'reason withheld';
}

export function isFailure(result: ProbeResult): boolean {
  return result.status === 'fail';
}
