import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';
import { ConfigurationError } from '../../errors.js';

/** Options of an `EventLoopWindow`. */
export interface EventLoopWindowOptions {
  /** Length of the window in milliseconds. */
  readonly windowMs: number;
  /** Time between two samples in milliseconds, at least `windowMs` / 5,000. */
  readonly resolutionMs: number;
}

/** Most samples of a window. Reading one takes a few microseconds of the event loop. */
const MOST_SAMPLES = 5_000;

/** Returns the shortest time between two samples for a window, in milliseconds. */
export function finestResolutionMs(windowMs: number): number {
  return Math.ceil(windowMs / MOST_SAMPLES);
}

/** On an idle loop, Node's timers fire up to a millisecond late. */
const PUNCTUAL_MS = 1;

const NANOSECONDS_PER_MS = 1_000_000;

/**
 * Measures the delays of the event loop until it is closed. It forgets a delay after half of `windowMs` at the earliest, and after `windowMs` at the latest.
 * It does not keep the process alive: native timers take the samples, and the timer that moves the window is unreferenced.
 */
export class EventLoopWindow {
  readonly resolutionMs: number;
  /** Each begins when the other one has covered half of the window. The first one always covers at least half of it. */
  #histograms: readonly [IntervalHistogram, IntervalHistogram];
  readonly #timer: NodeJS.Timeout;

  /** @throws ConfigurationError if the window would have more than 5,000 samples */
  constructor({ windowMs, resolutionMs }: EventLoopWindowOptions) {
    const finestMs = finestResolutionMs(windowMs);
    if (resolutionMs < finestMs) {
      throw new ConfigurationError(
        `\`resolutionMs\` of an event loop window is ${String(resolutionMs)}, which gives more than ${String(MOST_SAMPLES)} samples in a \`windowMs\` of ${String(windowMs)}: reading them would block the event loop. Set \`resolutionMs\` to ${String(finestMs)} or more.`,
      );
    }
    this.resolutionMs = resolutionMs;
    this.#histograms = [startHistogram(resolutionMs), startHistogram(resolutionMs)];
    this.#timer = setInterval(() => this.#moveOn(), windowMs / 2).unref();
  }

  /** Yields the delays in milliseconds, the longest first. Samples without a delay are left out. Read all of them synchronously, because new samples are written all the time. */
  *longestFirst(): Generator<number, void, undefined> {
    const [histogram] = this.#histograms;
    const samples = histogram.count;
    for (let rank = samples; rank > 0; rank -= 1) {
      // A sample is the time since the previous one, so a loop without a delay yields the resolution.
      const delayMs = histogram.percentile((rank / samples) * 100) / NANOSECONDS_PER_MS - this.resolutionMs;
      if (delayMs < PUNCTUAL_MS) return;
      yield delayMs;
    }
  }

  /** Stops measuring. It cannot be started again. */
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
