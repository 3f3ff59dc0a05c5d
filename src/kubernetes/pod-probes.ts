import type { ProbeKind } from '../probe.js';
import type { ProbeDescription } from '../registry/description.js';
import type { ShutdownTimes } from '../registry/serving.js';
import {
  budgetOf,
  EXEC_START_SECONDS,
  explainBudget,
  neededTimeoutSeconds,
  PROBE_DEFAULTS,
  PROPAGATION_SECONDS,
  secondsOutOfRotation,
  showTime,
  toleratedFailures,
} from './budget.js';
import { inOneLine, noted, type Noted } from './noted.js';
import type { ExecWay, HttpWay, Way } from './ways.js';

/** Slower than the others: a restart is the last resort. */
const LIVENESS = PROBE_DEFAULTS;

/** Of readiness and startup: a pod is ready soon after its start, and soon not ready. */
const SHORT_PERIOD_SECONDS = 2;

/** Where the drain is too short for it. */
const SHORTEST_PERIOD_SECONDS = 1;

const MOST_READINESS_FAILURES = 3;

/** What the command has to itself at least: Node starts slowly on a full node. */
const SHORTEST_COMMAND_SECONDS = 4;

export interface PodProbeOptions {
  /** It is merged into a probe that may be there. */
  readonly isPatch: boolean;
  /** The program and its first arguments, as the image has them. */
  readonly command: readonly string[];
  /** How long the application may take to start. */
  readonly startupSeconds: number;
}

/** One probe of a container, as the pod spec has it. `times` are those of the shutdown; undefined: there is none. */
export function describePodProbe(
  kind: ProbeKind,
  way: Way,
  probes: readonly ProbeDescription[],
  times: ShutdownTimes | undefined,
  options: PodProbeOptions,
): object {
  const [handler, timeoutSeconds] = way.by === 'http' ? askByHttp(kind, way, probes, options) : askByCommand(kind, way, probes, options);
  const { periodSeconds, failureThreshold } = paceOf(kind, probes, times, options);
  const others = options.isPatch ? removeOthers(way.by === 'http' ? 'httpGet' : 'exec') : {};
  return { ...others, ...handler, periodSeconds, timeoutSeconds, failureThreshold };
}

/** A probe has one handler. By nulls: `$patch: replace` loses the whole probe if there was none before. */
function removeOthers(handler: string): object {
  const others = ['exec', 'httpGet', 'tcpSocket', 'grpc'].filter((name) => name !== handler);
  return Object.fromEntries([...others, 'initialDelaySeconds'].map((name) => [name, null]));
}

function askByHttp(
  kind: ProbeKind,
  { path, port, isSecure, lacksPrefix }: HttpWay,
  probes: readonly ProbeDescription[],
  { isPatch }: PodProbeOptions,
): [object, Noted] {
  const budget = budgetOf(probes, kind);
  const scheme = isSecure ? 'HTTPS' : 'HTTP';
  const httpGet = {
    path: lacksPrefix ? noted(path, 'behind the prefix at which probeRouter() is mounted in another router') : path,
    port,
    ...(isSecure || isPatch ? { scheme } : {}),
    ...(isPatch ? { host: null } : {}),
    httpHeaders: [inOneLine({ name: 'X-Kubernetes-Probe', value: kind })],
  };
  return [{ httpGet }, noted(neededTimeoutSeconds(budget), explainBudget(budget))];
}

function askByCommand(
  kind: ProbeKind,
  { words: [flag = '', ...words], waitsForChecks }: ExecWay,
  probes: readonly ProbeDescription[],
  { command: program }: PodProbeOptions,
): [object, Noted] {
  const budget = budgetOf(probes, kind);
  const waitSeconds = waitsForChecks ? neededTimeoutSeconds(budget) : 0;
  const ownSeconds = Math.max(SHORTEST_COMMAND_SECONDS, waitSeconds);
  const command = [...program, 'probe', flag, '--timeout', String(ownSeconds), ...words];
  const sum = `${String(ownSeconds)} s for the command + ${String(EXEC_START_SECONDS)} s to start it`;
  const note = waitSeconds > SHORTEST_COMMAND_SECONDS ? `${sum}: ${explainBudget(budget)}` : sum;
  return [{ exec: { command: inOneLine(command) } }, noted(ownSeconds + EXEC_START_SECONDS, note)];
}

interface Pace {
  readonly periodSeconds: number | Noted;
  readonly failureThreshold: Noted;
}

function paceOf(
  kind: ProbeKind,
  probes: readonly ProbeDescription[],
  times: ShutdownTimes | undefined,
  { startupSeconds }: PodProbeOptions,
): Pace {
  if (kind === 'liveness') return paceOfLiveness(toleratedFailures(probes, kind));
  return kind === 'readiness' ? paceOfReadiness(times?.drainDelayMs ?? 0) : paceOfStartup(startupSeconds);
}

/** A probe that tolerates failures itself delays the restart by as many periods. */
function paceOfLiveness(tolerated: number): Pace {
  const { periodSeconds, failureThreshold } = LIVENESS;
  const own = tolerated === 0 ? '' : `, and ${String(tolerated)} more by the failureThreshold of a probe`;
  const seconds = periodSeconds * (failureThreshold + tolerated);
  return {
    periodSeconds,
    failureThreshold: noted(
      failureThreshold,
      `restarted after ${String(seconds)} s: ${showProduct(periodSeconds, failureThreshold)}${own}`,
    ),
  };
}

/** A container that liveness restarts is not deleted: it stays in rotation until its readiness has failed. */
function paceOfReadiness(drainDelayMs: number): Pace {
  const availableSeconds = drainDelayMs / 1_000 - PROPAGATION_SECONDS;
  const periodSeconds = availableSeconds >= SHORT_PERIOD_SECONDS || drainDelayMs === 0 ? SHORT_PERIOD_SECONDS : SHORTEST_PERIOD_SECONDS;
  const failureThreshold = Math.min(MOST_READINESS_FAILURES, Math.max(1, Math.floor(availableSeconds / periodSeconds)));
  const seconds = secondsOutOfRotation(periodSeconds, failureThreshold);
  const sum = `${showProduct(periodSeconds, failureThreshold)} + ${String(PROPAGATION_SECONDS)} s until proxies know = ${String(seconds)} s`;
  return { periodSeconds, failureThreshold: noted(failureThreshold, `${sum}${explainDrain(drainDelayMs, seconds)}`) };
}

function explainDrain(drainDelayMs: number, seconds: number): string {
  if (drainDelayMs === 0) return '';
  const drain = `the drain of ${showTime(drainDelayMs)}`;
  return seconds * 1_000 <= drainDelayMs ? `, within ${drain}` : `, longer than ${drain}: set drainDelayMs to ${String(seconds * 1_000)}`;
}

function paceOfStartup(startupSeconds: number): Pace {
  const failureThreshold = Math.ceil(startupSeconds / SHORT_PERIOD_SECONDS);
  const seconds = SHORT_PERIOD_SECONDS * failureThreshold;
  const note = `${String(seconds)} s to start: ${showProduct(SHORT_PERIOD_SECONDS, failureThreshold)}`;
  return { periodSeconds: SHORT_PERIOD_SECONDS, failureThreshold: noted(failureThreshold, note) };
}

function showProduct(periodSeconds: number, count: number): string {
  return `${String(periodSeconds)} s × ${String(count)}`;
}
