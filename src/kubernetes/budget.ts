import type { ProbeKind } from '../probe.js';
import type { ProbeDescription } from '../registry/description.js';
import type { InstalledShutdown, ShutdownTimes } from '../registry/serving.js';
import { resolveTimes } from '../shutdown/times.js';

/** What Kubernetes takes where a probe does not say. */
export const PROBE_DEFAULTS = Object.freeze({
  initialDelaySeconds: 0,
  periodSeconds: 10,
  timeoutSeconds: 1,
  failureThreshold: 3,
  successThreshold: 1,
});

export const DEFAULT_GRACE_SECONDS = 30;

/** Between the end of the slowest check and the end of the answer. */
const ANSWER_MS = 100;

/** What the container runtime needs to start a command while several pods start: the command has to end that much earlier than the kubelet's patience. */
export const EXEC_START_SECONDS = 1;

/** In which proxies and load balancers hear that a pod is not ready. */
export const PROPAGATION_SECONDS = 2;

/** Between the end of the longest shutdown and SIGKILL. */
export const SPARE_GRACE_SECONDS = 5;

/** How long the answer for a kind takes at most. */
export interface KindBudget {
  readonly kind: ProbeKind;
  /** Of the probes for which the answer waits; undefined: there is none. */
  readonly slowest: ProbeDescription | undefined;
  readonly milliseconds: number;
}

/** The checks of a kind run together, so that the slowest one counts. One that runs in the background has its result ready. */
export function budgetOf(probes: readonly ProbeDescription[], kind: ProbeKind): KindBudget {
  const [slowest] = probes
    .filter(({ kinds, options }) => kinds.includes(kind) && options.intervalMs === 0)
    .toSorted((a, b) => b.options.timeoutMs - a.options.timeoutMs);
  return { kind, slowest, milliseconds: (slowest?.options.timeoutMs ?? 0) + ANSWER_MS };
}

/** `the slowest readiness probe, search, has 1.5 s, and 100 ms to answer`. */
export function explainBudget({ kind, slowest }: KindBudget): string {
  if (slowest === undefined) return `no ${kind} probe to wait for: ${showTime(ANSWER_MS)} to answer`;
  return `the slowest ${kind} probe, ${slowest.name}, has ${showTime(slowest.options.timeoutMs)}, and ${showTime(ANSWER_MS)} to answer`;
}

/** `timeoutSeconds` of an httpGet probe, in whole seconds. */
export function neededTimeoutSeconds({ milliseconds }: KindBudget): number {
  return Math.max(PROBE_DEFAULTS.timeoutSeconds, Math.ceil(milliseconds / 1_000));
}

/** How many failing runs in a row a kind tolerates by the `failureThreshold` of its probes, before the kubelet sees one. A probe in the background counts at its own pace. */
export function toleratedFailures(probes: readonly ProbeDescription[], kind: ProbeKind): number {
  const counted = probes.filter(({ kinds, options }) => kinds.includes(kind) && options.critical && options.intervalMs === 0);
  return Math.max(1, ...counted.map(({ options }) => options.failureThreshold)) - 1;
}

/** In how many seconds, at most, a pod that fails its readiness gets no new requests. */
export function secondsOutOfRotation(periodSeconds: number, failureThreshold: number): number {
  return periodSeconds * failureThreshold + PROPAGATION_SECONDS;
}

/**
 * The times of all shutdowns of an application in a pod: they run side by side, and the longest counts. Undefined: there is none.
 * `toldGraceSeconds` is TERMINATION_GRACE_PERIOD_SECONDS of the pod spec, which the option of that name in the code overrules.
 */
export function shutdownTimesInPod(
  shutdowns: readonly InstalledShutdown[],
  toldGraceSeconds: number | undefined,
): ShutdownTimes | undefined {
  if (shutdowns.length === 0) return undefined;
  const times = shutdowns.map(({ given, servers }) =>
    resolveTimes(given, {
      isInKubernetes: true,
      hasServer: servers.length > 0,
      graceSeconds: given.terminationGracePeriodSeconds ?? toldGraceSeconds,
    }),
  );
  return {
    drainDelayMs: Math.max(...times.map(({ drainDelayMs }) => drainDelayMs)),
    timeoutMs: Math.max(...times.map(({ timeoutMs }) => timeoutMs)),
  };
}

/** In how many whole seconds after the deletion the process is gone: the kubelet counts the `preStop` hook into the grace period. A shorter grace period kills it. */
export function neededGraceSeconds({ timeoutMs }: ShutdownTimes, preStopSeconds: number): number {
  return Math.ceil(preStopSeconds + timeoutMs / 1_000);
}

/** Exact: `800 ms`, `1.5 s`, `25 s`. */
export function showTime(milliseconds: number): string {
  return milliseconds < 1_000 ? `${String(milliseconds)} ms` : `${String(Math.round(milliseconds) / 1_000)} s`;
}
