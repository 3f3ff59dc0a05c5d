import { ConfigurationError } from '../errors.js';
import type { ProbeLogger } from '../logger.js';
import { checkCount, checkMilliseconds, rejectUnknownOptions } from '../validation.js';

const SUBJECT = 'clusterProbes()';

export interface ClusterOptions {
  /** How many workers there are, 1 to 1,000. Each is a process with its own memory. */
  workers: number;
  /**
   * How many workers have to be ready for the pod to be ready, 1 to `workers`. Choose as many as can carry the load while another one is replaced.
   * @default half of `workers`, rounded up
   */
  minReady?: number | undefined;
  /**
   * Time in milliseconds between the begins of two runs of the probes in a worker: 1 to 3,600,000. A toggle of a worker's lifecycle counts at once.
   * @default 2000
   */
  intervalMs?: number | undefined;
  /**
   * Time in milliseconds without a report after which a worker is not ready: 100 to 3,600,000. A worker reports four times in this time, unless its event loop is blocked.
   * @default 1000
   */
  notReadyAfterMs?: number | undefined;
  /**
   * Time in milliseconds after which a worker is replaced that does not report, or whose liveness fails: 1 to 3,600,000, and longer than `notReadyAfterMs`.
   * Liveness of the pod fails from then on until the worker has ended.
   * @default 30000
   */
  deadAfterMs?: number | undefined;
  /**
   * Time in milliseconds within which a worker has to report for the first time: 1 to 3,600,000. One that does not is replaced.
   * @default 60000
   */
  startTimeoutMs?: number | undefined;
  /**
   * Time in milliseconds without a report after which a worker that is being replaced, and got SIGTERM, gets SIGKILL: 1 to 3,600,000.
   * A worker that reports has the time of its own graceful shutdown.
   * @default 5000
   */
  killAfterMs?: number | undefined;
  /**
   * Where the lines of the primary go, as in `new ProbeRegistry({ logger })`.
   * @default the console's standard error
   */
  logger?: ProbeLogger | false | undefined;
}

export type ResolvedClusterOptions = { readonly [Name in keyof Omit<ClusterOptions, 'logger'>]-?: number };

const DEFAULTS = Object.freeze({
  intervalMs: 2_000,
  notReadyAfterMs: 1_000,
  deadAfterMs: 30_000,
  startTimeoutMs: 60_000,
  killAfterMs: 5_000,
});

const OPTION_NAMES: readonly string[] = ['workers', 'minReady', ...Object.keys(DEFAULTS), 'logger'];

/** Below it a busy event loop, or a busy machine, would look like a blocked one. */
const SHORTEST_SILENCE_MS = 100;

/** @throws ConfigurationError if an option is out of its range. */
export function resolveClusterOptions(options: ClusterOptions): ResolvedClusterOptions {
  rejectUnknownOptions(SUBJECT, options, OPTION_NAMES);
  checkCount(SUBJECT, 'workers', options.workers);
  const resolved: ResolvedClusterOptions = {
    workers: options.workers,
    minReady: options.minReady ?? Math.ceil(options.workers / 2),
    intervalMs: options.intervalMs ?? DEFAULTS.intervalMs,
    notReadyAfterMs: options.notReadyAfterMs ?? DEFAULTS.notReadyAfterMs,
    deadAfterMs: options.deadAfterMs ?? DEFAULTS.deadAfterMs,
    startTimeoutMs: options.startTimeoutMs ?? DEFAULTS.startTimeoutMs,
    killAfterMs: options.killAfterMs ?? DEFAULTS.killAfterMs,
  };
  checkCount(SUBJECT, 'minReady', resolved.minReady);
  for (const name of ['intervalMs', 'notReadyAfterMs', 'deadAfterMs', 'startTimeoutMs', 'killAfterMs'] as const) {
    checkMilliseconds(SUBJECT, name, resolved[name]);
  }
  checkTogether(resolved);
  return resolved;
}

function checkTogether({ workers, minReady, notReadyAfterMs, deadAfterMs }: ResolvedClusterOptions): void {
  if (minReady > workers) {
    throw new ConfigurationError(
      `\`minReady\` of ${SUBJECT} is ${String(minReady)}, and \`workers\` is ${String(workers)}: the pod would never be ready. Lower \`minReady\`, or start more workers.`,
    );
  }
  if (notReadyAfterMs < SHORTEST_SILENCE_MS) {
    throw new ConfigurationError(
      `\`notReadyAfterMs\` of ${SUBJECT} is ${String(notReadyAfterMs)}: a worker that is only busy would not be ready. Raise it to ${String(SHORTEST_SILENCE_MS)} or more.`,
    );
  }
  if (deadAfterMs <= notReadyAfterMs) {
    throw new ConfigurationError(
      `\`deadAfterMs\` of ${SUBJECT} is ${String(deadAfterMs)}, and \`notReadyAfterMs\` is ${String(notReadyAfterMs)}: a worker has to stop being ready before it is replaced. Raise \`deadAfterMs\`.`,
    );
  }
}
