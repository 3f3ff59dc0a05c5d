/** Pieces of work in flight, each with a name, and who waits until there is none. */
export class Work {
  readonly #begun = new Set<{ readonly name: string }>();
  #waiting: (() => void)[] = [];

  /** In the order of their begin. */
  get names(): string[] {
    return Array.from(this.#begun, ({ name }) => name);
  }

  get isDone(): boolean {
    return this.#begun.size === 0;
  }

  /** The function that it returns ends the piece, and may be called twice. */
  begin(name: string): () => void {
    const piece = { name };
    this.#begun.add(piece);
    return () => {
      if (!this.#begun.delete(piece) || this.#begun.size > 0) return;
      for (const resolve of this.#waiting.splice(0)) resolve();
    };
  }

  /** Work may begin while other work is waited for: it is waited for too. */
  async whenDone(): Promise<void> {
    while (this.#begun.size > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
