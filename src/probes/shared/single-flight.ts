/**
 * Runs work that cannot be cancelled at most once at a time for each key. Calls that come while it is in flight join it.
 * A lookup or a file call that hangs blocks one of the four threads in Node's pool. If all four are blocked, every lookup and file call of the application waits.
 */
export class SingleFlight<Key, Result> {
  readonly #underWay = new Map<Key, Promise<Result>>();

  join(key: Key, begin: () => Promise<Result>): Promise<Result> {
    return this.#underWay.get(key) ?? this.#begin(key, begin);
  }

  /** For work that only reads. If the work that the call has joined fails, it is tried once more, because it started before the call and may be out of date. */
  joinOrRepeat(key: Key, begin: () => Promise<Result>): Promise<Result> {
    const underWay = this.#underWay.get(key);
    return underWay === undefined ? this.#begin(key, begin) : underWay.catch(() => this.join(key, begin));
  }

  #begin(key: Key, begin: () => Promise<Result>): Promise<Result> {
    const pending = begin().finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, pending);
    return pending;
  }
}
