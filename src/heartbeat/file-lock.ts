const FREE = 0;
const HELD = 1;
const CLOSED = 2;

/** In milliseconds. Whoever holds it writes one small file; a thread that has died meanwhile never lets go. */
const LONGEST_HOLD_MS = 500;

/** Lets one of two threads at a time write a file, by memory that both share. Once it is closed, nothing is written any more. */
export class FileLock {
  readonly #cell: Int32Array;

  constructor(readonly memory = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)) {
    this.#cell = new Int32Array(memory);
  }

  /** Waits for its turn. */
  run(write: () => void): void {
    if (this.#take() !== CLOSED) this.#runAndLeave(write, FREE);
  }

  /** Does nothing if it is not free. */
  tryToRun(write: () => void): void {
    if (Atomics.compareExchange(this.#cell, 0, FREE, HELD) === FREE) this.#runAndLeave(write, FREE);
  }

  /** `write` has the last word, and may be called again. */
  close(write: () => void): void {
    this.#take();
    this.#runAndLeave(write, CLOSED);
  }

  /** What it was before. */
  #take(): number {
    for (;;) {
      const before = Atomics.compareExchange(this.#cell, 0, FREE, HELD);
      if (before !== HELD || Atomics.wait(this.#cell, 0, HELD, LONGEST_HOLD_MS) === 'timed-out') return before;
    }
  }

  #runAndLeave(write: () => void, state: number): void {
    try {
      write();
    } finally {
      Atomics.store(this.#cell, 0, state);
      Atomics.notify(this.#cell, 0);
    }
  }
}
