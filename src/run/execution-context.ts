import { setMaxListeners } from 'node:events';
import type { ProbeContext, ProbeKind } from '../probe.js';
import { OUTSIDE, type OutsideListener } from './outside.js';

/** Hears what a check does with its context. */
export interface ContextListener {
  /** Somebody has the signal now. */
  onSignal(): void;
  /** The check reaches outside the process. */
  onOutside(what: string): void;
}

/** What a check is given. The check may freeze it or write to it: what the library reads of it is private. */
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
      // A check may hand it to as many requests as it makes: that is no leak.
      setMaxListeners(0, this.#controller.signal);
    }
    return this.#controller.signal;
  }

  get hasSignal(): boolean {
    return this.#controller !== undefined;
  }

  /** Also if nobody has asked for the signal: who asks later finds it aborted. */
  abort(reason: Error): void {
    try {
      (this.#controller ??= new AbortController()).abort(reason);
    } catch {
      // Node writes to the signal, and the check has frozen it.
    }
  }

  [OUTSIDE](what: string): void {
    this.#listener.onOutside(what);
  }
}
