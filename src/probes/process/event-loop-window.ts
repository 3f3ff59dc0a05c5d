import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';
import { ConfigurationError } from '../../errors.js';

export interface EventLoopWindowOptions {
  /** How far back a reading goes, in milliseconds. */
  readonly windowMs: number;
  /** Time between two samples, in milliseconds: no less than `windowMs` / 5,000. */
  readonly resolutionMs: number;
}

/** Each takes some microseconds of the event loop to read. */
const MOST_SAMPLES = 5_000;

/** The shortest time between two samples that a window may have, in milliseconds. */
export function finestResolutionMs(windowMs: number): number {
  return Math.ceil(windowMs / MOST_SAMPLES);
}

/** A timer of Node fires up to a millisecond late on an idle loop. */
const PUNCTUAL_MS = 1;

const NANOSECONDS_PER_MS = 1_000_000;

/**
 * Measures the delays of the event loop until it is closed, and forgets them after `windowMs` at the latest, and after half of that at the earliest.
 * Nothing of it keeps the process alive: the samples are taken by native timers, which Node does not wait for, and the window moves on by a timer that is unref'd.
 */
export class EventLoopWindow {
  readonly resolutionMs: number;
  /** One begins when the other is half through, so that there is always one with a past: the first. */
  #histograms: readonly [IntervalHistogram, IntervalHistogram];
  readonly #timer: NodeJS.Timeout;

  /** @throws ConfigurationError where the window would have more than 5,000 samples. */
  constructor({ windowMs, resolutionMs }: EventLoopWindowOptions) {
    const finestMs = finestResolutionMs(windowMs);
    if (resolutionMs < finestMs) {
      throw new ConfigurationError(
        `\`resolutionMs\` of an event loop window is ${String(resolutionMs)}, which makes more than ${String(MOST_SAMPLES)} samples of its \`windowMs\`, ${String(windowMs)}: reading them would block the event loop. Set it to ${String(finestMs)} or more.`,
      );
    }
    this.resolutionMs = resolutionMs;
    this.#histograms = [startHistogram(resolutionMs), startHistogram(resolutionMs)];
    this.#timer = setInterval(() => this.#moveOn(), windowMs / 2).unref();
  }

  /** The delays in milliseconds, the longest first, down to those that are none. Read it in one go: it goes on being written. */
  *longestFirst(): Generator<number, void, undefined> {
    const [histogram] = this.#histograms;
    const samples = histogram.count;
    for (let rank = samples; rank > 0; rank -= 1) {
      // A sample is the time between two of them, so a loop that is not delayed at all gives the resolution.
      const delayMs = histogram.percentile((rank / samples) * 100) / NANOSECONDS_PER_MS - this.resolutionMs;
      if (delayMs < PUNCTUAL_MS) return;
      yield delayMs;
    }
  }

  /** Stops measuring, for good. */
  close(): void {
    clearInterval(this.#timer);
    for (const histogram of this.#histograms) histogram.disable();
  }

  #moveOn(): void {
    const [past, present] = this.#histograms;
    past.reset();
    this.#histograms = [present, past];
  }
}

function startHistogram(resolution: number): IntervalHistogram {
  const histogram = monitorEventLoopDelay({ resolution });
  histogram.enable();
  return histogram;
}
