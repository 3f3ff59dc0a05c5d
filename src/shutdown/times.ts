import { ConfigurationError } from '../errors.js';
import type { ShutdownTimes } from '../registry/serving.js';
import { checkMilliseconds } from '../validation.js';

const SUBJECT = 'gracefulShutdown()';

const DEFAULT_TIMEOUT_MS = 25_000;
const KUBERNETES_DEFAULTS = Object.freeze({ drainDelayMs: 5_000, terminationGracePeriodSeconds: 30 });

/** Share of the grace period that a shutdown may take by default: 25 s of 30 s. */
const SHARE_OF_GRACE = 5 / 6;

/** How much earlier a worker of `clusterProbes()` ends by default: its primary ends last, and says what the worker was waiting for. */
const PRIMARY_MARGIN_MS = 2_000;
const PRIMARY_SHARE = 1 / 10;

/** The times that the application sets. The others have defaults. */
type GivenTimes = { readonly [Name in keyof ShutdownTimes]?: number | undefined };

/** The environment of a shutdown. */
export interface ShutdownPlace {
  readonly isInKubernetes: boolean;
  /** Whether there are clients to wait for. */
  readonly hasServer: boolean;
  /** The grace period that the application has set. Undefined if it has set none. */
  readonly graceSeconds: number | undefined;
  /** Whether a primary waits for the end of this process. */
  readonly hasPrimary?: boolean;
}

/** Returns after how many milliseconds the process is killed, as far as the process knows. */
export function graceMsOf({ isInKubernetes, graceSeconds }: ShutdownPlace): number {
  return (graceSeconds ?? (isInKubernetes ? KUBERNETES_DEFAULTS.terminationGracePeriodSeconds : Infinity)) * 1_000;
}

/**
 * Uses the given times as they are. Defaults are chosen to fit into the grace period.
 *
 * @throws ConfigurationError if a time is out of range, or the delay leaves no time for the rest of the shutdown
 */
export function resolveTimes(given: GivenTimes, place: ShutdownPlace): ShutdownTimes {
  const givenDelayMs = given.drainDelayMs ?? 0;
  if (givenDelayMs !== 0) checkMilliseconds(SUBJECT, 'drainDelayMs', givenDelayMs);
  const fittingMs = fittingTimeoutMs(place);
  const timeoutMs = given.timeoutMs ?? (fittingMs > givenDelayMs ? fittingMs : DEFAULT_TIMEOUT_MS);
  checkMilliseconds(SUBJECT, 'timeoutMs', timeoutMs);
  const usualDelayMs = place.isInKubernetes && place.hasServer ? KUBERNETES_DEFAULTS.drainDelayMs : 0;
  const drainDelayMs = given.drainDelayMs ?? Math.min(usualDelayMs, Math.floor(timeoutMs / 2));
  if (drainDelayMs < timeoutMs) return { drainDelayMs, timeoutMs };
  throw new ConfigurationError(
    `\`drainDelayMs\` of ${SUBJECT} is ${String(drainDelayMs)}, but \`timeoutMs\` is ${String(timeoutMs)}: the delay is part of the timeout, so no time is left for requests and hooks. Lower \`drainDelayMs\` or raise \`timeoutMs\`.`,
  );
}

function fittingTimeoutMs(place: ShutdownPlace): number {
  const timeoutMs = Math.min(DEFAULT_TIMEOUT_MS, Math.floor(graceMsOf(place) * SHARE_OF_GRACE));
  if (place.hasPrimary !== true) return timeoutMs;
  return timeoutMs - Math.min(PRIMARY_MARGIN_MS, Math.floor(timeoutMs * PRIMARY_SHARE));
}
