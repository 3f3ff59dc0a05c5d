import { performance } from 'node:perf_hooks';
import type { ProbeKind } from '../probe.js';
import type { ProbeResult } from '../report/report.js';

const SETTLED = Promise.resolve();

/** What the checks share that begin together. It hears of the result of each, at the place that it has given it. */
export abstract class Batch {
  readonly startedAt = performance.now();
  /** When all of them had begun: timeouts count from here, so that one that blocks the event loop before its first await takes no time from the others. */
  armedAt = Infinity;
  /** When its next check begins. */
  beginsAt = this.startedAt;
  #settledAt: number | undefined;
  #isTurning = false;

  constructor(
    readonly kind: ProbeKind,
    readonly acceptsLatest: boolean,
  ) {}

  abstract onResult(place: number, result: ProbeResult): void;

  /** The microtasks that waited are done. */
  protected abstract onTurn(): void;

  /**
   * The time for an outcome that has just come. One reading serves all that wait in the microtask queue: what is in it before the reading was known before,
   * and reading the clock for each costs as much as a trivial check.
   */
  readSettledAt(): number {
    if (this.#settledAt === undefined) {
      this.#settledAt = performance.now();
      this.#turnSoon();
    }
    return this.#settledAt;
  }

  /** A check has ended at once, and it may have blocked the event loop: that time is its own. */
  turnClock(): void {
    this.#settledAt = performance.now();
    this.beginsAt = this.#settledAt;
  }

  /** All have begun. What has settled by then is told so in the microtasks that wait, and needs no other reading. */
  protected arm(): void {
    this.armedAt = performance.now();
    this.#settledAt = this.armedAt;
    this.#turnSoon();
  }

  #turnSoon(): void {
    if (this.#isTurning) return;
    this.#isTurning = true;
    void SETTLED.then(() => this.#turn());
  }

  #turn(): void {
    this.#isTurning = false;
    this.#settledAt = undefined;
    this.onTurn();
  }
}
