import { constants } from 'node:os';
import { ConfigurationError } from '../errors.js';
import type { ProbeLogger } from '../logger.js';
import { checkArray, checkMilliseconds, checkOneOf, rejectUnknownOptions, show } from '../validation.js';

const SUBJECT = 'gracefulShutdown()';

/** Options of a graceful shutdown. All are optional. */
export interface ShutdownOptions {
  /**
   * Signals that begin it.
   * @default ['SIGTERM', 'SIGINT']
   */
  signals?: readonly NodeJS.Signals[] | undefined;
  /**
   * Time in milliseconds for which requests are still accepted after the signal, 0 to 3,600,000: proxies and load balancers learn late that the pod is leaving.
   * @default 5,000 in Kubernetes, at most half of `timeoutMs`; 0 elsewhere (`KUBERNETES_SERVICE_HOST` is not set), and without a server
   */
  drainDelayMs?: number | undefined;
  /**
   * Time in milliseconds for the whole of it, delay and hooks included, 1 to 3,600,000. When it is over, connections are cut and the process exits with 1.
   * Keep it below `terminationGracePeriodSeconds` of the pod spec, which is 30 s by default.
   * @default 25,000
   */
  timeoutMs?: number | undefined;
  /**
   * That of the pod spec, less the time that a `preStop` hook takes: `timeoutMs` is held against it, with a warning at start.
   * @default TERMINATION_GRACE_PERIOD_SECONDS of the environment, else 30 in Kubernetes
   */
  terminationGracePeriodSeconds?: number | undefined;
  /**
   * `true`: an uncaught exception, and with it an unhandled rejection, begins the same shutdown, which then exits with 1. Otherwise Node ends the process at once.
   * @default false
   */
  uncaughtErrors?: boolean | undefined;
  /**
   * How it ends: `true` by `process.exit(code)`, `false` by setting `process.exitCode` alone, a function by calling it with the code, once.
   * A second signal exits with `false` too, and calls the function at once; a signal after the function was called exits with 1.
   * @default true
   */
  exit?: boolean | ((code: number) => void) | undefined;
}

export interface ResolvedShutdownOptions {
  readonly signals: readonly NodeJS.Signals[];
  readonly drainDelayMs: number;
  readonly timeoutMs: number;
  readonly uncaughtErrors: boolean;
  readonly exit: boolean | ((code: number) => void);
}

const OPTION_NAMES = ['signals', 'drainDelayMs', 'timeoutMs', 'terminationGracePeriodSeconds', 'uncaughtErrors', 'exit'];
const DEFAULTS = Object.freeze({ signals: ['SIGTERM', 'SIGINT'] as const, timeoutMs: 25_000, uncaughtErrors: false, exit: true });
const KUBERNETES_DEFAULTS = Object.freeze({ drainDelayMs: 5_000, terminationGracePeriodSeconds: 30 });

/** @throws ConfigurationError where an option is out of its range. What cannot fit into the pod's grace period is a warning. */
export function resolveShutdownOptions(
  options: ShutdownOptions,
  { hasServer, environment, logger }: { hasServer: boolean; environment: NodeJS.ProcessEnv; logger: ProbeLogger },
): ResolvedShutdownOptions {
  rejectUnknownOptions(SUBJECT, options, OPTION_NAMES);
  const isInKubernetes = environment['KUBERNETES_SERVICE_HOST'] !== undefined;
  checkSignals(options.signals ?? DEFAULTS.signals);
  const signals = [...new Set(options.signals ?? DEFAULTS.signals)];
  const timeoutMs = options.timeoutMs ?? DEFAULTS.timeoutMs;
  checkMilliseconds(SUBJECT, 'timeoutMs', timeoutMs);
  const usualDelayMs = isInKubernetes && hasServer ? Math.min(KUBERNETES_DEFAULTS.drainDelayMs, timeoutMs / 2) : 0;
  const drainDelayMs = options.drainDelayMs ?? usualDelayMs;
  if (drainDelayMs !== 0) checkMilliseconds(SUBJECT, 'drainDelayMs', drainDelayMs);
  if (drainDelayMs >= timeoutMs) {
    throw new ConfigurationError(
      `\`drainDelayMs\` of ${SUBJECT}, ${String(drainDelayMs)}, leaves nothing of \`timeoutMs\`, ${String(timeoutMs)}, in which it is included. Shorten the one or lengthen the other.`,
    );
  }
  const uncaughtErrors = options.uncaughtErrors ?? DEFAULTS.uncaughtErrors;
  checkOneOf(SUBJECT, 'uncaughtErrors', uncaughtErrors, [true, false]);
  const exit = options.exit ?? DEFAULTS.exit;
  if (typeof exit !== 'function' && typeof exit !== 'boolean') {
    throw new ConfigurationError(`Expected \`exit\` of ${SUBJECT} to be true, false or a function, got ${show(exit)}.`);
  }
  const graceSeconds =
    options.terminationGracePeriodSeconds ??
    readGraceSeconds(environment, logger) ??
    (isInKubernetes ? KUBERNETES_DEFAULTS.terminationGracePeriodSeconds : Infinity);
  checkGraceSeconds(graceSeconds);
  if (timeoutMs >= graceSeconds * 1_000) {
    logger.warn(
      `a shutdown may take ${String(timeoutMs)} ms (${String(drainDelayMs)} of drainDelayMs and ${String(timeoutMs - drainDelayMs)} for requests and hooks), ` +
        `but Kubernetes kills the container ${String(graceSeconds * 1_000)} ms after the signal. Shorten \`timeoutMs\`, or lengthen terminationGracePeriodSeconds in the pod spec and say so in the option of that name.`,
    );
  }
  return { signals, drainDelayMs, timeoutMs, uncaughtErrors, exit };
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
