/**
 * Work that cannot be cancelled, one at a time for each key: who asks while it is under way joins it. A lookup or a file system that hangs keeps a thread of
 * Node's pool for each call, and all files and names of the application wait when none of the four is left.
 */
export class SingleFlight<Key, Result> {
  readonly #underWay = new Map<Key, Promise<Result>>();

  join(key: Key, begin: () => Promise<Result>): Promise<Result> {
    const pending = this.#underWay.get(key) ?? begin().finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, pending);
    return pending;
  }
}
