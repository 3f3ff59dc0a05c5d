import type { ProbeContext } from '../../probe.js';
import type { ProbeData } from '../../report/report.js';
import { checkMilliseconds, rejectUnknownOptions } from '../../validation.js';
import { type EventLoopWindow, finestResolutionMs } from './event-loop-window.js';
import { checkNumber, checkWholeNumber } from '../shared/limits.js';

export interface EventLoopLimits {
  /**
   * How much of the window, in percent of its time, must be free of a longer wait than `maxDelayMs`: above 0, at most 100.
   * It is a percentile of time and not of samples: a loop that is blocked for 5 s leaves one sample among hundreds, which a percentile of samples passes over.
   * @default 99
   */
  percentile?: number | undefined;
  /**
   * The longest wait of an event in milliseconds that is taken for healthy: 1 to 3,600,000.
   * By default that of `timeoutSeconds` in a pod spec: who waits longer has hung up before the loop comes to the request.
   * @default 1_000
   */
  maxDelayMs?: number | undefined;
  /**
   * How far back the probe looks, in milliseconds: 100 to 3,600,000; a delay is forgotten after that time at the latest, after half of it at the earliest.
   * No longer than `periodSeconds`, so that one delay fails one answer and not several, and only a loop that is delayed again and again has its container restarted.
   * @default 10_000
   */
  windowMs?: number | undefined;
  /**
   * Time between two samples in whole milliseconds: 1 to 1,000, no more than a tenth of the window, and no less than its 5,000th part, as reading more samples would block the event loop. Shorter delays are not seen; shorter times wake an idle process more often.
   * @default 20, a tenth of a window below 200, or the 5,000th part of one above 100,000
   */
  resolutionMs?: number | undefined;
}

/** `EventLoopLimits` with its defaults filled in. */
export type ResolvedLimits = Readonly<{ [Option in keyof Required<EventLoopLimits>]: number }>;

const DEFAULTS: ResolvedLimits = Object.freeze({ percentile: 99, maxDelayMs: 1_000, windowMs: 10_000, resolutionMs: 20 });

/**
 * Resolves to the percentile and the longest delay in the window, in milliseconds; rejects when the percentile is above `maxDelayMs`.
 * `windowMs` of the limits is the one that the window was made with.
 *
 * @throws ConfigurationError where a limit is out of its range.
 */
export async function checkEventLoop(
  window: EventLoopWindow,
  { signal }: Pick<ProbeContext, 'signal'>,
  limits: EventLoopLimits = {},
): Promise<ProbeData> {
  // A delay that ended with the request for this check is measured in the turn that follows it.
  await nextTurn();
  signal.throwIfAborted();
  return judgeDelays(window.longestFirst(), limits);
}

/**
 * The verdict on the delays of a window, in milliseconds and the longest first: its data, where they are within the limits. Pure.
 *
 * @throws Error where they are not, which says by how much; ConfigurationError where a limit is out of its range.
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
    // Whoever comes at any time during a delay waits for the rest of it: so long is the time in which one waits for more than `delayMs`, the sum of (delay - delayMs).
    delayMs = (inTotal - (1 - percentile / 100) * windowMs) / longer;
  }
  if (delayMs > maxDelayMs) {
    throw new Error(
      `the event loop is delayed by ${inMs(delayMs)} (p${String(percentile)} of ${inMs(windowMs)}), more than ${inMs(maxDelayMs)}; the longest was ${inMs(maxMs)}`,
    );
  }
  return { [`p${String(percentile)}Ms`]: Math.round(Math.max(0, delayMs)), maxMs: Math.round(maxMs) };
}

/** @throws ConfigurationError where a limit is unknown or out of its range. */
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

/** The second of two immediates comes after the timers of the turn that follows the first. */
async function nextTurn(): Promise<void> {
  for (const _ of [1, 2]) await new Promise((resolve) => setImmediate(resolve));
}

function inMs(ms: number): string {
  return `${String(Math.round(ms))} ms`;
}
