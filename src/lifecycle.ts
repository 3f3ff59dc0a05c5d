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
    if (isReady && this.#draining !== undefined) {
      this.#host.logger.warn('setReady(true) is ignored: the application is draining');
    }
    this.#notReady = isReady ? undefined : reason;
    this.#host.onToggle();
  }

  /** Turns liveness off or on by hand: off, Kubernetes restarts the container. The reason is shown to the public. */
  setLive(isLive: boolean, reason = 'liveness is switched off'): void {
    checkBoolean('isLive', isLive);
    this.#notLive = isLive ? undefined : reason;
    this.#host.onToggle();
  }

  /**
   * Holds readiness off until the function that it returns is called, which may be called twice.
   * Several parts can hold at once, and none can let go for another. The reason is shown to the public.
   */
  hold(reason: string): () => void {
    const hold = { reason };
    this.#holds.add(hold);
    this.#host.onToggle();
    return () => {
      if (this.#holds.delete(hold)) this.#host.onToggle();
    };
  }

  /** Begins to drain: readiness fails from now on for good, liveness stays as it is. A second call changes nothing. */
  drain(reason = 'draining'): void {
    if (this.#draining !== undefined) return;
    this.#draining = reason;
    this.#host.onToggle();
  }

  /** @throws NotReady with all reasons, where the kind fails. */
  check({ kind }: ProbeContext): void {
    const reasons = kind === 'liveness' ? [this.#notLive] : this.#reasonsNotReady();
    const given = reasons.filter((reason) => reason !== undefined);
    if (given.length > 0) throw new NotReady(given.join('; '));
  }

  #reasonsNotReady(): (string | undefined)[] {
    const pending = this.#host.pendingStartups();
    return [
      this.#draining,
      pending.length > 0 ? `starting: waiting for ${pending.join(', ')}` : undefined,
      this.#notReady,
      ...[...this.#holds].map(({ reason }) => reason),
    ];
  }
}

/** A string from a form or the environment would be taken for true. */
function checkBoolean(name: string, value: unknown): void {
  if (typeof value !== 'boolean') throw new TypeError(`Expected \`${name}\` to be true or false, got ${show(value)}.`);
}
