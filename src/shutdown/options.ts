import { constants } from 'node:os';
import { ConfigurationError } from '../errors.js';
import type { ProbeLogger } from '../logger.js';
import type { ShutdownTimes } from '../registry/serving.js';
import { decideByDefault, type RepeatedSignalAction } from './heard-signals.js';
import { graceMsOf, resolveTimes } from './times.js';
import { checkArray, checkOneOf, rejectUnknownOptions, show } from '../validation.js';

const SUBJECT = 'gracefulShutdown()';

/** Options of a graceful shutdown. All are optional. */
export interface ShutdownOptions {
  /**
   * Signals that begin the shutdown.
   * @default ['SIGTERM', 'SIGINT']
   */
  signals?: readonly NodeJS.Signals[] | undefined;
  /**
   * Decides what a signal does if it arrives more than 1 s after the first signal. `'continue'` logs the signal and lets the shutdown continue until its deadline. `'exit'` exits with code 1 at once.
   * A signal that arrives within 1 s counts as the same signal, because a terminal, a process group and a supervisor can each send one.
   * @default (signal) => (signal === 'SIGINT' ? 'exit' : 'continue')
   */
  onRepeatedSignal?: ((signal: NodeJS.Signals) => RepeatedSignalAction) | undefined;
  /**
   * How long new requests are still accepted after the signal, in milliseconds, 0 to 3,600,000. It must be less than `timeoutMs`.
   * The delay is needed because proxies and load balancers learn late that the pod is terminating. It is skipped if no server is listening and no connection is open.
   * @default 5,000 in Kubernetes, but at most half of `timeoutMs`; 0 outside Kubernetes (`KUBERNETES_SERVICE_HOST` is not set) and without a server
   */
  drainDelayMs?: number | undefined;
  /**
   * Deadline of the whole shutdown in milliseconds, including the delay and the hooks, 1 to 3,600,000. When it is exceeded, the remaining connections are closed and the process exits with code 1.
   * Keep it below `terminationGracePeriodSeconds` of the pod spec, which is 30 s by default.
   * @default 25,000, but at most five sixths of `terminationGracePeriodSeconds`; 23,000 in a worker of `clusterProbes()`
   */
  timeoutMs?: number | undefined;
  /**
   * The grace period of the pod spec in seconds, minus the time of a `preStop` hook. 0 or more. The defaults of `timeoutMs` and `drainDelayMs` are chosen to fit into it.
   * If `timeoutMs` does not fit into it, a warning is logged at start.
   * @default the environment variable TERMINATION_GRACE_PERIOD_SECONDS, or else 30 in Kubernetes; no limit outside Kubernetes
   */
  terminationGracePeriodSeconds?: number | undefined;
  /**
   * If `true`, an uncaught exception or an unhandled rejection begins the shutdown, which then exits with code 1. Otherwise Node ends the process at once.
   * The first error is logged with its stack. Later errors are only counted.
   * @default false
   */
  uncaughtErrors?: boolean | undefined;
  /**
   * How the shutdown ends the process. `true` calls `process.exit(code)`. `false` only sets `process.exitCode`.
   * A function is called once with the exit code instead of `process.exit()`. It may be async, and it must end the process. If it throws or rejects, the error is logged and the process exits with code 1.
   * @default true
   */
  exit?: boolean | ((code: number) => unknown) | undefined;
}

export interface ResolvedShutdownOptions extends ShutdownTimes {
  readonly signals: readonly NodeJS.Signals[];
  readonly onRepeatedSignal: (signal: NodeJS.Signals) => RepeatedSignalAction;
  /** The times that the same options give in a pod. */
  readonly inKubernetes: ShutdownTimes;
  readonly uncaughtErrors: boolean;
  readonly exit: boolean | ((code: number) => unknown);
  readonly isInKubernetes: boolean;
}

/** Set by `clusterProbes()` in each of its workers: JSON of what the primary wants to know, and how often. */
export const WORKER_VARIABLE = 'KOA_PROBES_WORKER';

const OPTION_NAMES = [
  'signals',
  'onRepeatedSignal',
  'drainDelayMs',
  'timeoutMs',
  'terminationGracePeriodSeconds',
  'uncaughtErrors',
  'exit',
];
const DEFAULTS = Object.freeze({
  signals: ['SIGTERM', 'SIGINT'] as const,
  onRepeatedSignal: decideByDefault,
  uncaughtErrors: false,
  exit: true,
});

/**
 * Validates the options and fills in the defaults. It warns if the shutdown does not fit into the grace period of the pod.
 *
 * @throws ConfigurationError if an option is out of range
 */
export function resolveShutdownOptions(
  options: ShutdownOptions,
  { hasServer, environment, logger }: { hasServer: boolean; environment: NodeJS.ProcessEnv; logger: ProbeLogger },
): ResolvedShutdownOptions {
  rejectUnknownOptions(SUBJECT, options, OPTION_NAMES);
  const isInKubernetes = environment['KUBERNETES_SERVICE_HOST'] !== undefined;
  checkSignals(options.signals ?? DEFAULTS.signals);
  const signals = [...new Set(options.signals ?? DEFAULTS.signals)];
  const onRepeatedSignal = options.onRepeatedSignal ?? DEFAULTS.onRepeatedSignal;
  if (typeof onRepeatedSignal !== 'function') {
    throw new ConfigurationError(
      `Expected \`onRepeatedSignal\` of ${SUBJECT} to be a function that returns 'continue' or 'exit', got ${show(onRepeatedSignal)}. Example: \`onRepeatedSignal: () => 'exit'\`.`,
    );
  }
  const uncaughtErrors = options.uncaughtErrors ?? DEFAULTS.uncaughtErrors;
  checkOneOf(SUBJECT, 'uncaughtErrors', uncaughtErrors, [true, false]);
  const exit = options.exit ?? DEFAULTS.exit;
  if (typeof exit !== 'function' && typeof exit !== 'boolean') {
    throw new ConfigurationError(`Expected \`exit\` of ${SUBJECT} to be true, false or a function, got ${show(exit)}.`);
  }
  const graceSeconds = options.terminationGracePeriodSeconds ?? readGraceSeconds(environment, logger);
  if (graceSeconds !== undefined) checkGraceSeconds(graceSeconds);
  const place = { isInKubernetes, hasServer, graceSeconds, hasPrimary: environment[WORKER_VARIABLE] !== undefined };
  const times = resolveTimes(options, place);
  warnOfGrace(times, graceMsOf(place), logger);
  return {
    signals,
    onRepeatedSignal,
    ...times,
    inKubernetes: resolveTimes(options, { ...place, isInKubernetes: true }),
    uncaughtErrors,
    exit,
    isInKubernetes,
  };
}

function warnOfGrace({ drainDelayMs, timeoutMs }: ShutdownTimes, graceMs: number, logger: ProbeLogger): void {
  if (timeoutMs < graceMs) return;
  logger.warn(
    `a shutdown may take ${String(timeoutMs)} ms (${String(drainDelayMs)} of drainDelayMs and ${String(timeoutMs - drainDelayMs)} for requests and hooks), ` +
      `but Kubernetes kills the container ${String(graceMs)} ms after the signal. Lower \`timeoutMs\`, or raise terminationGracePeriodSeconds in the pod spec and in the option of the same name.`,
  );
}

function checkSignals(signals: readonly unknown[]): void {
  checkArray(`\`signals\` of ${SUBJECT}`, signals);
  for (const signal of signals) {
    const isCatchable =
      typeof signal === 'string' && Object.hasOwn(constants.signals, signal) && signal !== 'SIGKILL' && signal !== 'SIGSTOP';
    if (!isCatchable)
      throw new ConfigurationError(
        `Expected \`signals\` of ${SUBJECT} to be signals that can be caught, like 'SIGTERM', got ${show(signal)}.`,
      );
  }
}

function checkGraceSeconds(seconds: unknown): void {
  if (typeof seconds === 'number' && seconds >= 0) return;
  throw new ConfigurationError(
    `Expected \`terminationGracePeriodSeconds\` of ${SUBJECT} to be a number of seconds, 0 or more, got ${show(seconds)}.`,
  );
}

/** Warns and does not throw: a wrong environment variable must not prevent the start. */
function readGraceSeconds(environment: NodeJS.ProcessEnv, logger: ProbeLogger): number | undefined {
  const text = environment['TERMINATION_GRACE_PERIOD_SECONDS'];
  if (text === undefined || text === '') return undefined;
  if (/^\d+$/.test(text)) return Number(text);
  logger.warn(`TERMINATION_GRACE_PERIOD_SECONDS is ignored: ${show(text)} is not a number of seconds.`);
  return undefined;
}
