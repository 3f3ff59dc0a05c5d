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
   * Signals that begin it.
   * @default ['SIGTERM', 'SIGINT']
   */
  signals?: readonly NodeJS.Signals[] | undefined;
  /**
   * What a signal does that comes more than a second after the first signal: `'continue'` logs it and lets the shutdown go on to its deadline, `'exit'` exits with 1 at once.
   * A signal that comes earlier is the same one: a terminal, a process group and a supervisor each send their own.
   * @default (signal) => (signal === 'SIGINT' ? 'exit' : 'continue')
   */
  onRepeatedSignal?: ((signal: NodeJS.Signals) => RepeatedSignalAction) | undefined;
  /**
   * Time in milliseconds for which requests are still accepted after the signal, 0 to 3,600,000: proxies and load balancers learn late that the pod is leaving.
   * It is skipped if no server listens or has a connection.
   * @default 5,000 in Kubernetes, at most half of `timeoutMs`; 0 elsewhere (`KUBERNETES_SERVICE_HOST` is not set), and without a server
   */
  drainDelayMs?: number | undefined;
  /**
   * Time in milliseconds for the whole shutdown, delay and hooks included, 1 to 3,600,000. At its end connections are cut and the process exits with 1.
   * Keep it below `terminationGracePeriodSeconds` of the pod spec, which is 30 s by default.
   * @default 25,000, at most five sixths of `terminationGracePeriodSeconds`; 23,000 in a worker of `clusterProbes()`
   */
  timeoutMs?: number | undefined;
  /**
   * That of the pod spec, less the time that a `preStop` hook takes. The defaults of `timeoutMs` and `drainDelayMs` fit into it; a `timeoutMs` that does not is a warning at start.
   * @default TERMINATION_GRACE_PERIOD_SECONDS of the environment, else 30 in Kubernetes
   */
  terminationGracePeriodSeconds?: number | undefined;
  /**
   * `true`: an uncaught exception, and with it an unhandled rejection, begins the same shutdown, which then exits with 1. Otherwise Node ends the process at once.
   * The first error is logged with its stack, and those that follow are counted.
   * @default false
   */
  uncaughtErrors?: boolean | undefined;
  /**
   * How it ends: `true` by `process.exit(code)`, `false` by setting `process.exitCode` alone. A function is called with the code in place of `process.exit()`, once, and has to end the process; it may be async.
   * If the function throws or rejects, that is logged and the process exits with 1.
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

/** @throws ConfigurationError if an option is out of its range. What cannot fit into the pod's grace period is a warning. */
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
      `Expected \`onRepeatedSignal\` of ${SUBJECT} to be a function that returns 'continue' or 'exit', got ${show(onRepeatedSignal)}: \`onRepeatedSignal: () => 'exit'\`.`,
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
      `but Kubernetes kills the container ${String(graceMs)} ms after the signal. Shorten \`timeoutMs\`, or lengthen terminationGracePeriodSeconds in the pod spec and say so in the option of that name.`,
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
    `Expected \`terminationGracePeriodSeconds\` of ${SUBJECT} to be seconds as in the pod spec, got ${show(seconds)}.`,
  );
}

/** What the environment says is no reason not to start. */
function readGraceSeconds(environment: NodeJS.ProcessEnv, logger: ProbeLogger): number | undefined {
  const text = environment['TERMINATION_GRACE_PERIOD_SECONDS'];
  if (text === undefined || text === '') return undefined;
  if (/^\d+$/.test(text)) return Number(text);
  logger.warn(`TERMINATION_GRACE_PERIOD_SECONDS is ignored: ${show(text)} is not a number of seconds.`);
  return undefined;
}
