import { performance } from 'node:perf_hooks';
import { readFailure, type ProbeFailure } from './failure.js';
import type { ProbeKind } from '../probe.js';

const TIME_ORIGIN = performance.timeOrigin;

/** Data that a passing check returned. */
export type ProbeData = Readonly<Record<string, string | number | boolean>>;

/** What became of one probe. */
export interface ProbeResult {
  readonly name: string;
  /** `warn`: it failed, and that is tolerated, by `failureThreshold` or `critical: false`. `excluded`: the request left it out, and it was not run. */
  readonly status: 'pass' | 'warn' | 'fail' | 'excluded';
  /** From the beginning of its run to its outcome, in milliseconds. */
  readonly durationMs: number;
  /** When the outcome was known, in milliseconds since 1970 UTC. */
  readonly time: number;
  /** Where it failed: why, for the public and for the operator. */
  readonly failure: ProbeFailure | undefined;
  /** Where it failed: what was thrown, as it is. Not for the public. */
  readonly error: unknown;
  readonly data: ProbeData | undefined;
}

/** The answer to one kind of probe, or to one probe of it. */
export interface ProbeReport {
  readonly kind: ProbeKind;
  /** The worst of its results: `pass`, `warn`, `fail`. */
  readonly status: 'pass' | 'warn' | 'fail';
  /** In the order of registration, `lifecycle` first. */
  readonly results: readonly ProbeResult[];
  /** Names in `exclude` that this kind does not have. */
  readonly unknownExcludes: readonly string[];
}

/** The times are readings of `performance.now()`. */
export function passed(name: string, startedAt: number, endedAt: number, data: ProbeData | undefined): ProbeResult {
  return { name, status: 'pass', durationMs: endedAt - startedAt, time: toEpoch(endedAt), failure: undefined, error: undefined, data };
}

export function failed(name: string, startedAt: number, endedAt: number, error: unknown): ProbeResult {
  const failure = readFailure(error);
  return { name, status: 'fail', durationMs: endedAt - startedAt, time: toEpoch(endedAt), failure, error, data: undefined };
}

export function excluded(name: string): ProbeResult {
  return { name, status: 'excluded', durationMs: 0, time: Date.now(), failure: undefined, error: undefined, data: undefined };
}

export function makeReport(kind: ProbeKind, results: readonly ProbeResult[], unknownExcludes: readonly string[]): ProbeReport {
  return { kind, status: worstOf(results), results, unknownExcludes };
}

/** A reading of `performance.now()` in milliseconds since 1970 UTC. */
function toEpoch(time: number): number {
  return TIME_ORIGIN + time;
}

function worstOf(results: readonly ProbeResult[]): ProbeReport['status'] {
  let worst: ProbeReport['status'] = 'pass';
  for (const { status } of results) {
    if (status === 'fail') return 'fail';
    if (status === 'warn') worst = 'warn';
  }
  return worst;
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
