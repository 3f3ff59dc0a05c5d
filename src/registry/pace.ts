export const MINUTE_MS = 60_000;

/** Pauses between two lines for the same complaint. The first two come as they are. */
export const COMPLAINT_PAUSES_MS: readonly number[] = [0, 10 * MINUTE_MS, 60 * MINUTE_MS];

/** Says when it is time to repeat something: after one pause, then the next. The last pause repeats. Times are readings of `performance.now()`. */
export class Pace {
  #dueAt = -Infinity;
  #next = 0;

  constructor(private readonly pausesMs: readonly number[]) {}

  get dueAt(): number {
    return this.#dueAt;
  }

  /** Begins the next pause. */
  pause(now: number): void {
    const place = Math.min(this.#next, this.pausesMs.length - 1);
    this.#dueAt = now + (this.pausesMs[place] ?? 0);
    this.#next += 1;
  }

  /** Whether it is time. If it is, the next pause begins. */
  take(now: number): boolean {
    if (now < this.#dueAt) return false;
    this.pause(now);
    return true;
  }
}
