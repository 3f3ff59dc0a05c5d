export const MINUTE_MS = 60_000;

/** Pauses between lines about the same problem. The first two lines have no pause between them. */
export const COMPLAINT_PAUSES_MS: readonly number[] = [0, 10 * MINUTE_MS, 60 * MINUTE_MS];

/** Decides when to repeat something: after the first pause, then after the second, and so on. The last pause repeats. Times are readings of `performance.now()`. */
export class Pace {
  #dueAt = -Infinity;
  #next = 0;

  constructor(private readonly pausesMs: readonly number[]) {}

  get dueAt(): number {
    return this.#dueAt;
  }

  /** Starts the next pause. */
  pause(now: number): void {
    const place = Math.min(this.#next, this.pausesMs.length - 1);
    this.#dueAt = now + (this.pausesMs[place] ?? 0);
    this.#next += 1;
  }

  /** Returns whether the pause is over. If it is, the next pause starts. */
  take(now: number): boolean {
    if (now < this.#dueAt) return false;
    this.pause(now);
    return true;
  }
}
