import type { ProbeContext } from '../../probe.js';
import type { ProbeData } from '../../report/report.js';
import { checkMilliseconds, rejectUnknownOptions } from '../../validation.js';
import { type EventLoopWindow, finestResolutionMs } from './event-loop-window.js';
import { checkNumber, checkWholeNumber } from '../shared/limits.js';

/** Limits of `EventLoopProbe` and `checkEventLoop()`. All are optional. */
export interface EventLoopLimits {
  /**
   * Percentage of the window during which an event must not wait longer than `maxDelayMs`: above 0, at most 100.
   * It is a percentile of time and not of samples. A loop that is blocked for 5 s leaves only one sample among hundreds, and a percentile of samples would miss it.
   * @default 99
   */
  percentile?: number | undefined;
  /**
   * Longest healthy wait of an event in milliseconds, 1 to 3,600,000.
   * The default equals the default of `timeoutSeconds` in a pod spec: after that time, the kubelet has closed the connection before the loop reaches its request.
   * @default 1_000
   */
  maxDelayMs?: number | undefined;
  /**
   * Length of the measured window in milliseconds, 100 to 3,600,000. A delay is forgotten after half of this time at the earliest, and after all of it at the latest.
   * Set it to `periodSeconds` at most, so that one delay fails only one probe. Then only a loop that is delayed again and again gets the container restarted.
   * @default 10_000
   */
  windowMs?: number | undefined;
  /**
   * Time between two samples in whole milliseconds, 1 to 1,000. At most a tenth of the window, and at least a 5,000th of it, because reading more samples would block the event loop.
   * Delays shorter than this are not seen. A short time wakes an idle process more often.
   * @default 20; a tenth of the window if the window is below 200; a 5,000th of the window if it is above 100,000
   */
  resolutionMs?: number | undefined;
}

/** `EventLoopLimits` with every default filled in. */
export type ResolvedLimits = Readonly<{ [Option in keyof Required<EventLoopLimits>]: number }>;

const DEFAULTS: ResolvedLimits = Object.freeze({ percentile: 99, maxDelayMs: 1_000, windowMs: 10_000, resolutionMs: 20 });

/**
 * Resolves to the percentile and the longest delay in the window, in milliseconds. Rejects if the percentile is above `maxDelayMs`.
 * `windowMs` of the limits must be the one that the window was created with.
 *
 * @throws ConfigurationError if a limit is out of range
 */
export async function checkEventLoop(
  window: EventLoopWindow,
  { signal }: Pick<ProbeContext, 'signal'>,
  limits: EventLoopLimits = {},
): Promise<ProbeData> {
  // A delay that ended with the request for this check is measured in the next turn.
  await nextTurn();
  signal.throwIfAborted();
  return judgeDelays(window.longestFirst(), limits);
}

/**
 * Judges the delays of a window, in milliseconds and the longest first. Returns the data if the delays are within the limits. It is a pure function.
 *
 * @throws Error that says by how much the limit is exceeded; ConfigurationError if a limit is out of range
 */
export function judgeDelays(longestFirst: Iterable<number>, limits: EventLoopLimits = {}): ProbeData {
  const { percentile, maxDelayMs, windowMs } = resolveLimits('judgeDelays()', limits);
  let maxMs = 0;
  let inTotal = 0;
  let longer = 0;
  let delayMs = 0;
  for (const one of longestFirst) {
    maxMs ||= one;
    if (one <= delayMs) break;
    inTotal += one;
    longer += 1;
    // An event that arrives during a delay waits for the rest of that delay. So the time in which an event waits longer than `delayMs` is the sum of (delay - delayMs).
    delayMs = (inTotal - (1 - percentile / 100) * windowMs) / longer;
  }
  if (delayMs > maxDelayMs) {
    throw new Error(
      `the event loop is delayed by ${inMs(delayMs)} (p${String(percentile)} of ${inMs(windowMs)}), more than ${inMs(maxDelayMs)}; the longest delay was ${inMs(maxMs)}`,
    );
  }
  return { [`p${String(percentile)}Ms`]: Math.round(Math.max(0, delayMs)), maxMs: Math.round(maxMs) };
}

/** @throws ConfigurationError if a limit is unknown or out of range */
export function resolveLimits(subject: string, limits: EventLoopLimits): ResolvedLimits {
  rejectUnknownOptions(subject, limits, Object.keys(DEFAULTS));
  const windowMs = limits.windowMs ?? DEFAULTS.windowMs;
  const percentile = limits.percentile ?? DEFAULTS.percentile;
  const maxDelayMs = limits.maxDelayMs ?? DEFAULTS.maxDelayMs;
  const resolutionMs = limits.resolutionMs ?? defaultResolutionMs(windowMs);
  checkNumber(subject, 'percentile', percentile, Number.MIN_VALUE, 100);
  checkMilliseconds(subject, 'maxDelayMs', maxDelayMs);
  checkNumber(subject, 'windowMs', windowMs, 100, 3_600_000);
  checkWholeNumber(subject, 'resolutionMs', resolutionMs, 1, Math.min(1_000, Math.floor(windowMs / 10)));
  return { percentile, maxDelayMs, windowMs, resolutionMs };
}

function defaultResolutionMs(windowMs: number): number {
  return Math.min(Math.max(DEFAULTS.resolutionMs, finestResolutionMs(windowMs)), Math.floor(windowMs / 10));
}

/** Waits for two immediates. The second one runs after the timers of the next turn. */
async function nextTurn(): Promise<void> {
  for (const _ of [1, 2]) await new Promise((resolve) => setImmediate(resolve));
}

function inMs(ms: number): string {
  return `${String(Math.round(ms))} ms`;
}
