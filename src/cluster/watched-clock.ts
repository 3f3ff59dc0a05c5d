import { performance } from 'node:perf_hooks';

/** A clock that stands still while this process does. After a block of its own, or a pause of the whole container, the reports of the workers are still to be read, and none of them has been silent. */
export class WatchedClock {
  #now = 0;
  #readAt = performance.now();

  constructor(private readonly longestStepMs: number) {}

  /** As of the last step. */
  get now(): number {
    return this.#now;
  }

  step(): void {
    const time = performance.now();
    this.#now += Math.min(time - this.#readAt, this.longestStepMs);
    this.#readAt = time;
  }
}
