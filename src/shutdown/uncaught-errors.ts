import { inspect } from 'node:util';
import { describeError } from '../errors.js';
import type { ProbeLogger } from '../logger.js';

type Origin = 'uncaughtException' | 'unhandledRejection';

/** Errors that nobody catches: the first is logged with its stack. An interval may throw it again and again during the shutdown, and those are counted. */
export class UncaughtErrors {
  #count = 0;
  #latest: unknown;

  constructor(
    private readonly logger: ProbeLogger,
    private readonly onFirst: (origin: Origin) => void,
  ) {}

  listen(): void {
    process.on('uncaughtException', this.#onException);
    // Node makes an exception of it only where nobody else listens.
    process.on('unhandledRejection', this.#onRejection);
  }

  stop(): void {
    process.off('uncaughtException', this.#onException);
    process.off('unhandledRejection', this.#onRejection);
  }

  /** Logs how many came after the first, once. */
  logCount(): void {
    const later = this.#count - 1;
    if (later > 0) this.logger.error(`${String(later)} more uncaught errors during the shutdown, the last: ${describeError(this.#latest)}`);
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
