import { performance } from 'node:perf_hooks';
import type { ProbeKind } from './probe.js';

const TIME_ORIGIN = performance.timeOrigin;
const SETTLED = Promise.resolve();

/** What the checks share that begin together. */
export class Batch {
  /** When all of them had begun: timeouts count from here, so that one that blocks the event loop before its first await takes no time from the others. */
  armedAt = Infinity;
  /** Of those that began with it. */
  shortestTimeoutMs = Infinity;
  #settledAt: number | undefined;

  constructor(
    readonly kind: ProbeKind,
    /** Whether a result that is there already will do. A schedule wants a new one. */
    readonly acceptsLatest = true,
    readonly startedAt = performance.now(),
  ) {}

  readonly #forget = (): void => {
    this.#settledAt = undefined;
  };

  /**
   * The time for an outcome that has just come. One reading serves all that wait in the microtask queue: what is in it before the reading was known before,
   * and reading the clock for each costs as much as a trivial check.
   */
  readSettledAt(): number {
    if (this.#settledAt === undefined) {
      this.#settledAt = performance.now();
      void SETTLED.then(this.#forget);
    }
    return this.#settledAt;
  }
}

/** A reading of `performance.now()` in milliseconds since 1970 UTC. */
export function toEpoch(time: number): number {
  return TIME_ORIGIN + time;
}
