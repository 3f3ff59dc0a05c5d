import type { ShutdownProgress } from '../lifecycle/lifecycle.js';
import { PROBE_KINDS, type ProbeKind } from '../probe.js';
import type { ProbeDescription } from '../registry/description.js';
import type { ProbeRegistry } from '../registry/registry.js';
import { reasonOf, type ProbeResult, type ReasonAudience } from '../report/report.js';
import type { History, PastChange, PastRun } from './history.js';

/** Who looks at the page. */
export interface Viewer {
  /** Whether reasons are shown that a probe did not choose to make public. */
  readonly audience: ReasonAudience;
  /** Whether there are buttons. */
  readonly mayAct: boolean;
}

export type ProbeStatusWord = 'pass' | 'warn' | 'fail' | 'unknown';

/** One probe, as the page shows it. Times are in milliseconds since 1970 UTC. */
export interface ProbeView {
  readonly name: string;
  readonly kinds: readonly ProbeKind[];
  readonly status: ProbeStatusWord;
  readonly reason: string | undefined;
  /** Since when it has this status. */
  readonly since: number | undefined;
  readonly passedAt: number | undefined;
  /** Oldest first. */
  readonly runs: readonly PastRun[];
  readonly lastMs: number | undefined;
  /** Median of the runs. */
  readonly typicalMs: number | undefined;
  /** Runs that were abandoned at their timeout and have not settled. */
  readonly hangingRuns: number;
  readonly description: ProbeDescription;
}

export interface KindView {
  readonly kind: ProbeKind;
  readonly status: ProbeStatusWord;
  /** Why the application itself fails this kind: starting, draining, a toggle or a hold. */
  readonly reason: string | undefined;
}

/** `down`: liveness fails; the others are the states of the application. */
export type StateWord = 'down' | 'draining' | 'starting' | 'not ready' | 'degraded' | 'ready' | 'unknown';

export interface PageView {
  readonly state: StateWord;
  readonly kinds: readonly KindView[];
  /** Failing first, then degraded, unknown and passing; in the order of registration among equals. */
  readonly probes: readonly ProbeView[];
  readonly changes: readonly PastChange[];
  /** The reason of `setReady(false)`, if it is in effect. */
  readonly switchedOff: string | undefined;
  readonly holds: readonly string[];
  readonly shutdown: ShutdownProgress | undefined;
}

const RANK: Readonly<Record<ProbeStatusWord, number>> = { fail: 0, warn: 1, unknown: 2, pass: 3 };

/** What is known now. It runs no probe. */
export function takeView(probes: ProbeRegistry, history: History, shutdown: ShutdownProgress | undefined, viewer: Viewer): PageView {
  const kinds = PROBE_KINDS.map((kind) => viewKind(probes, kind));
  const hanging = new Map(Array.from(probes.monitors, ({ name, hangingRuns }) => [name, hangingRuns]));
  const views = probes.list().map((description) => viewProbe(description, history, hanging.get(description.name) ?? 0, viewer));
  return {
    state: stateOf(probes, kinds, views),
    kinds,
    probes: views.toSorted((a, b) => RANK[a.status] - RANK[b.status]),
    changes: history.changes,
    switchedOff: probes.lifecycle.switchedOffReason,
    holds: probes.lifecycle.holdReasons,
    shutdown,
  };
}

function viewKind(probes: ProbeRegistry, kind: ProbeKind): KindView {
  const reason = probes.lifecycle.reasonFor(kind);
  const { status } = probes.status(kind);
  return { kind, status: reason === undefined ? status : 'fail', reason };
}

function viewProbe(description: ProbeDescription, history: History, hangingRuns: number, { audience }: Viewer): ProbeView {
  const { name, kinds, lastResult } = description;
  const runs = history.runsOf(name);
  return {
    name,
    kinds,
    status: statusOf(lastResult),
    reason: lastResult && reasonOf(lastResult, audience),
    since: history.since(name) ?? lastResult?.time,
    passedAt: history.passedAt(name) ?? (lastResult?.status === 'pass' ? lastResult.time : undefined),
    runs,
    lastMs: runs.at(-1)?.durationMs ?? lastResult?.durationMs,
    typicalMs: medianOf(runs),
    hangingRuns,
    description,
  };
}

function statusOf(result: ProbeResult | undefined): ProbeStatusWord {
  return result === undefined || result.status === 'excluded' ? 'unknown' : result.status;
}

function medianOf(runs: readonly PastRun[]): number | undefined {
  return runs.map(({ durationMs }) => durationMs).toSorted((a, b) => a - b)[runs.length >> 1];
}

function stateOf(probes: ProbeRegistry, kinds: readonly KindView[], views: readonly ProbeView[]): StateWord {
  const isStatus = (kind: ProbeKind, status: ProbeStatusWord) => kinds.some((one) => one.kind === kind && one.status === status);
  const { state } = probes.lifecycle;
  if (state === 'draining') return 'draining';
  if (isStatus('liveness', 'fail')) return 'down';
  if (state === 'starting') return 'starting';
  if (isStatus('readiness', 'fail')) return 'not ready';
  if (views.some(({ status }) => status === 'warn')) return 'degraded';
  return isStatus('readiness', 'unknown') || isStatus('liveness', 'unknown') ? 'unknown' : 'ready';
}
