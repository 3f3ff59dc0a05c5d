import type { AnswerCopy, BlockLimits, PartName, RequestCopy, SentAnswer, ToWorker } from './messages.js';

/** What the thread does for somebody. */
export interface ThreadPart {
  readonly name: PartName;
  readonly limits: BlockLimits;
  /** Read each time that the thread begins with it: again, if the thread had ended. */
  settings(): object;
  /** The thread has begun with it. `address` is where a server listens. */
  onOpen?(address: unknown): void;
  /** Never rejects. */
  onRequest?(copy: RequestCopy): Promise<AnswerCopy>;
  onSent?(sent: SentAnswer): void;
  /** The main loop turns again. */
  onBlockOver?(): void;
  /** It has ended, or the thread could not begin with it. */
  onClose?(): void;
}

/** One part, from its beginning to its end. The process is kept alive while it begins and while it ends. */
export class Part {
  isOpen = false;
  readonly opened: Promise<void>;
  #resolve = (): void => {};
  #reject: (error: Error) => void = () => {};
  #release: () => void;
  #closed: Promise<void> | undefined;
  #end = (): void => {};

  constructor(
    readonly id: number,
    readonly does: ThreadPart,
    private readonly hold: () => () => void,
  ) {
    this.#release = hold();
    this.opened = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  get isClosing(): boolean {
    return this.#closed !== undefined;
  }

  /** What the thread is told to begin with it. */
  get order(): ToWorker {
    const { name, limits } = this.does;
    return { type: 'open', id: this.id, part: name, limits, settings: this.does.settings() };
  }

  /** The thread has begun with it, again perhaps. */
  open(address: unknown): void {
    this.does.onOpen?.(address);
    if (this.isOpen) return;
    this.isOpen = true;
    this.#release();
    this.#resolve();
  }

  refuse(error: Error): void {
    this.#reject(error);
    this.end();
  }

  /** Resolves when `end()` is called. */
  close(): Promise<void> {
    if (this.#closed === undefined) {
      this.#release = this.hold();
      this.#closed = new Promise((resolve) => (this.#end = resolve));
    }
    return this.#closed;
  }

  end(): void {
    this.does.onClose?.();
    this.#release();
    this.#resolve();
    this.#end();
  }
}
