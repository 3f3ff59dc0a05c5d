import { NotReady } from './errors.js';
import type { ProbeLogger } from './logger.js';
import type { Probe, ProbeContext } from './probe.js';
import { show } from './validation.js';

/** `starting` until every startup probe has passed once; `draining` from the begin of the shutdown on, for good. */
export type LifecycleState = 'starting' | 'running' | 'draining';

/** What the lifecycle needs of its registry. */
export interface LifecycleHost {
  readonly logger: ProbeLogger;
  /** Names of the startup probes that have not passed yet. */
  pendingStartups(): readonly string[];
  /** A toggle was turned. */
  onToggle(): void;
}

/** The state of the application itself, and the manual toggles. It is a check like any other, in liveness and readiness, named `lifecycle`. */
export class Lifecycle implements Probe {
  readonly #host: LifecycleHost;
  readonly #holds = new Set<{ readonly reason: string }>();
  #notLive: string | undefined;
  #notReady: string | undefined;
  #draining: string | undefined;

  /** @internal */
  constructor(host: LifecycleHost) {
    this.#host = host;
  }

  get state(): LifecycleState {
    if (this.#draining !== undefined) return 'draining';
    return this.#host.pendingStartups().length > 0 ? 'starting' : 'running';
  }

  /** Turns readiness off or on by hand. The reason is shown to the public. While draining, turning it on is ignored, with a warning. */
  setReady(isReady: boolean, reason = 'readiness is switched off'): void {
    checkBoolean('isReady', isReady);
    checkReason(reason);
    if (isReady && this.#draining !== undefined) {
      this.#host.logger.warn('setReady(true) is ignored: the application is draining');
    }
    this.#notReady = isReady ? undefined : reason;
    this.#host.onToggle();
  }

  /** Turns liveness off or on by hand: off, Kubernetes restarts the container. The reason is shown to the public. While draining liveness passes all the same. */
  setLive(isLive: boolean, reason = 'liveness is switched off'): void {
    checkBoolean('isLive', isLive);
    checkReason(reason);
    this.#notLive = isLive ? undefined : reason;
    this.#host.onToggle();
  }

  /**
   * Holds readiness off until the function that it returns is called, which may be called twice.
   * Several parts can hold at once, and none can let go for another. The reason is shown to the public.
   */
  hold(reason: string): () => void {
    checkReason(reason);
    const hold = { reason };
    this.#holds.add(hold);
    this.#host.onToggle();
    return () => {
      if (this.#holds.delete(hold)) this.#host.onToggle();
    };
  }

  /** Begins to drain: readiness fails from now on for good, liveness passes. A second call changes nothing. */
  drain(reason = 'draining'): void {
    checkReason(reason);
    if (this.#draining !== undefined) return;
    this.#draining = reason;
    this.#host.onToggle();
  }

  /** @throws NotReady with all reasons, where the kind fails. */
  check({ kind }: ProbeContext): void {
    const reasons = kind === 'liveness' ? this.#reasonsNotLive() : this.#reasonsNotReady();
    if (reasons.length > 0) throw new NotReady(reasons.join('; '));
  }

  /** While draining there are none: a restart would cut what is under way. */
  #reasonsNotLive(): string[] {
    return this.#notLive === undefined || this.#draining !== undefined ? [] : [this.#notLive];
  }

  #reasonsNotReady(): string[] {
    const reasons: string[] = [];
    if (this.#draining !== undefined) reasons.push(this.#draining);
    const pending = this.#host.pendingStartups();
    if (pending.length > 0) reasons.push(`starting: waiting for ${pending.join(', ')}`);
    if (this.#notReady !== undefined) reasons.push(this.#notReady);
    for (const { reason } of this.#holds) reasons.push(reason);
    return reasons;
  }
}

/** A string from a form or the environment would be taken for true. */
function checkBoolean(name: string, value: unknown): void {
  if (typeof value !== 'boolean') throw new TypeError(`Expected \`${name}\` to be true or false, got ${show(value)}.`);
}

/** Without a reason the public would read nothing. */
function checkReason(reason: unknown): void {
  if (typeof reason !== 'string' || reason === '') throw new TypeError(`Expected \`reason\` to be a text, got ${show(reason)}.`);
}
