/**
 * Work that cannot be cancelled, one at a time for each key: who asks while it is under way joins it. A lookup or a file system that hangs keeps a thread of
 * Node's pool for each call, and all files and names of the application wait when none of the four is left.
 */
export class SingleFlight<Key, Result> {
  readonly #underWay = new Map<Key, Promise<Result>>();

  join(key: Key, begin: () => Promise<Result>): Promise<Result> {
    return this.#underWay.get(key) ?? this.#begin(key, begin);
  }

  /** For work that only reads: a failure that was under way before the call says nothing about now, so it is tried again, once. */
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
