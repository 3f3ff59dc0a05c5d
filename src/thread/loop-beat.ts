/**
 * When the main loop turned last, in memory that both threads share: the main thread writes it, the worker thread reads it.
 * By `process.hrtime.bigint()`, which is one clock for all threads and never steps.
 */
export class LoopBeat {
  readonly #cell: BigInt64Array;

  constructor(readonly memory = new SharedArrayBuffer(BigInt64Array.BYTES_PER_ELEMENT)) {
    this.#cell = new BigInt64Array(memory);
  }

  get at(): bigint {
    return Atomics.load(this.#cell, 0);
  }

  note(): void {
    Atomics.store(this.#cell, 0, process.hrtime.bigint());
  }
}
