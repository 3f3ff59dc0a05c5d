const CLOSED = 0;
const OPEN = 1;

/**
 * Whether the worker thread has a session of the inspector with the main thread, in memory that both share.
 * Node waits at its exit for such a session, and for ever if it was started with `--inspect`: so the exit waits for the end of the session first.
 */
export class SessionFlag {
  readonly #cell: Int32Array;

  constructor(readonly memory = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)) {
    this.#cell = new Int32Array(memory);
  }

  open(): void {
    Atomics.store(this.#cell, 0, OPEN);
  }

  close(): void {
    Atomics.store(this.#cell, 0, CLOSED);
    Atomics.notify(this.#cell, 0);
  }

  /** Blocks the thread that calls it, for so long at most. */
  waitUntilClosed(withinMs: number): void {
    Atomics.wait(this.#cell, 0, OPEN, withinMs);
  }
}
