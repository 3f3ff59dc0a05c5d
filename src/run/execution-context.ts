import { setMaxListeners } from 'node:events';
import type { ProbeContext, ProbeKind } from '../probe.js';
import { OUTSIDE, type OutsideListener } from './outside.js';

/** Is told what a check does with its context. */
export interface ContextListener {
  /** Called when the signal is read for the first time. */
  onSignal(): void;
  /** Called when the check uses something outside the process. */
  onOutside(what: string): void;
}

/** The argument of a check. The check may freeze it or write to it, because the library reads only private fields. */
export class ExecutionContext implements ProbeContext, OutsideListener {
  readonly #kind: ProbeKind;
  readonly #listener: ContextListener;
  #controller: AbortController | undefined;

  constructor(kind: ProbeKind, listener: ContextListener) {
    this.#kind = kind;
    this.#listener = listener;
  }

  get kind(): ProbeKind {
    return this.#kind;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      this.#listener.onSignal();
      // A check may pass the signal to any number of requests. That is not a leak.
      setMaxListeners(0, this.#controller.signal);
    }
    return this.#controller.signal;
  }

  get hasSignal(): boolean {
    return this.#controller !== undefined;
  }

  /** Aborts the signal. If the signal is read later, it is already aborted. */
  abort(reason: Error): void {
    try {
      (this.#controller ??= new AbortController()).abort(reason);
    } catch {
      // Aborting writes to the signal, which fails if the check has frozen it.
    }
  }

  [OUTSIDE](what: string): void {
    this.#listener.onOutside(what);
  }
}
