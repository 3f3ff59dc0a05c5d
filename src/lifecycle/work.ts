/** Work in flight, by name, with a way to wait until all of it has ended. */
export class Work {
  readonly #begun = new Set<{ readonly name: string }>();
  #waiting: (() => void)[] = [];

  /** The names in the order in which the work began. */
  get names(): string[] {
    return Array.from(this.#begun, ({ name }) => name);
  }

  get isDone(): boolean {
    return this.#begun.size === 0;
  }

  /** Begins a piece of work. The returned function ends it; further calls have no effect. */
  begin(name: string): () => void {
    const piece = { name };
    this.#begun.add(piece);
    return () => {
      if (!this.#begun.delete(piece) || this.#begun.size > 0) return;
      for (const resolve of this.#waiting.splice(0)) resolve();
    };
  }

  /** Resolves when no work is left. Work that begins in the meantime is waited for too. */
  async whenDone(): Promise<void> {
    while (this.#begun.size > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
