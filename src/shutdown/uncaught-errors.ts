import { inspect } from 'node:util';
import { describeError } from '../errors.js';
import type { ProbeLogger } from '../logger.js';

type Origin = 'uncaughtException' | 'unhandledRejection';

/** Uncaught errors: the first one is logged with its stack. Later ones are only counted, because an interval may throw again and again during the shutdown. */
export class UncaughtErrors {
  #count = 0;
  #latest: unknown;

  constructor(
    private readonly logger: ProbeLogger,
    private readonly onFirst: (origin: Origin) => void,
  ) {}

  listen(): void {
    process.on('uncaughtException', this.#onException);
    // Node turns an unhandled rejection into an exception only if there is no listener, and the application may have one.
    process.on('unhandledRejection', this.#onRejection);
  }

  stop(): void {
    process.off('uncaughtException', this.#onException);
    process.off('unhandledRejection', this.#onRejection);
  }

  /** Logs how many errors followed the first one. It logs this once. */
  logCount(): void {
    const later = this.#count - 1;
    if (later > 0)
      this.logger.error(`${String(later)} more uncaught errors during the shutdown, the last one: ${describeError(this.#latest)}`);
    this.#count = 0;
  }

  readonly #onException = (error: unknown, origin: Origin): void => {
    this.#count += 1;
    this.#latest = error;
    if (this.#count > 1) return;
    this.logger.error(`${origin}: ${inspect(error)}`);
    this.onFirst(origin);
  };

  readonly #onRejection = (error: unknown): void => this.#onException(error, 'unhandledRejection');
}
