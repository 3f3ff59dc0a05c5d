import { NotReady } from '../errors.js';
import type { ProbeLogger } from '../logger.js';
import type { Probe, ProbeContext, ProbeKind } from '../probe.js';
import { show } from '../validation.js';
import { Work } from './work.js';

export const LIFECYCLE_STATES = ['starting', 'running', 'draining'] as const;

/** `starting` until every startup probe has passed once; `draining` from the begin of the shutdown on, for good. */
export type LifecycleState = (typeof LIFECYCLE_STATES)[number];

/** Where a graceful shutdown is, and what is left. */
export interface ShutdownProgress {
  /**
   * `draining`: the signal has come, and new requests are still served; `closing`: the listeners are closed, and requests in flight go on; `hooks`: no request and no tracked work is left;
   * `deactivating`: all hooks finished, and the container deactivates what it has made; then `finished`, or `timed out` from any of them.
   */
  readonly phase: 'draining' | 'closing' | 'hooks' | 'deactivating' | 'finished' | 'timed out';
  /** The signal, or what was given to `shutdown()`. */
  readonly reason: string;
  /** Since the signal, in milliseconds. */
  readonly elapsedMs: number;
  /** Open connections. */
  readonly connections: number;
  /** Those of them that are a WebSocket or another tunnel. The shutdown does not wait for them. */
  readonly upgradedConnections: number;
  /** Requests whose response has not been sent completely. */
  readonly requests: number;
  /** Those of them that began more than a minute ago: event streams, as a rule. */
  readonly longRequests: number;
  /** Names of the work and of the hooks that the shutdown waits for. */
  readonly work: readonly string[];
  /** Names of the hooks that have not begun, in the order in which they will be called. */
  readonly hooks: readonly string[];
}

/** What the lifecycle needs of its registry. */
export interface LifecycleHost {
  readonly logger: ProbeLogger;
  /** Names of the startup probes that have not passed yet. */
  pendingStartups(): readonly string[];
  hasPendingStartups(): boolean;
  /** A toggle was turned. */
  onToggle(): void;
}

/** The state of the application itself, the manual toggles, and the work that a shutdown waits for. It is a check like any other, in liveness and readiness, named `lifecycle`. */
export class Lifecycle implements Probe {
  readonly #host: LifecycleHost;
  readonly #holds = new Set<{ readonly reason: string }>();
  #notLive: string | undefined;
  #notReady: string | undefined;
  #draining: string | undefined;
  #shutdown: AbortController | undefined;
  #isShuttingDown = false;
  /** What the start waits for beside the startup probes. */
  readonly #starting = new Work();
  /** @internal */
  readonly work = new Work();
  /** @internal What answers the probes until the registry is closed, also when the listeners of the application are closed. */
  readonly lastingAnswerers = new Set<object>();

  /** @internal */
  constructor(host: LifecycleHost) {
    this.#host = host;
  }

  get state(): LifecycleState {
    if (this.#draining !== undefined) return 'draining';
    return this.#pending.length > 0 ? 'starting' : 'running';
  }

  /** @internal The application is `starting` until the function that it returns is called. The name is for the public. */
  beginStart(name: string): () => void {
    return this.#starting.begin(name);
  }

  /** @internal Whether something that `beginStart()` has begun is under way: the startup probes are not known yet. */
  get isBeingStarted(): boolean {
    return !this.#starting.isDone;
  }

  /** @internal Whether the process is about to end, so that a start which is under way need not go on. */
  get isShuttingDown(): boolean {
    return this.#isShuttingDown;
  }

  /** @internal Begins to drain as the first step of a shutdown. */
  beginShutdown(): void {
    this.#isShuttingDown = true;
    this.drain();
  }

  get #pending(): readonly string[] {
    return [...this.#starting.names, ...this.#host.pendingStartups()];
  }

  /** @internal Whether `setReady(false)` holds. */
  get isSwitchedOff(): boolean {
    return this.#notReady !== undefined;
  }

  /** Turns readiness off or on by hand. The reason is shown to the public. While draining, turning it on is ignored, with a warning. */
  setReady(isReady: boolean, reason = 'readiness is switched off'): void {
    checkBoolean('isReady', isReady);
    checkText('reason', reason);
    if (isReady && this.#draining !== undefined) {
      this.#host.logger.warn('setReady(true) is ignored: the application is draining');
    }
    this.#notReady = isReady ? undefined : reason;
    this.#host.onToggle();
  }

  /** Turns liveness off or on by hand: off, Kubernetes restarts the container. The reason is shown to the public. While draining liveness passes all the same. */
  setLive(isLive: boolean, reason = 'liveness is switched off'): void {
    checkBoolean('isLive', isLive);
    checkText('reason', reason);
    this.#notLive = isLive ? undefined : reason;
    this.#host.onToggle();
  }

  /**
   * Holds readiness off until the function that it returns is called, which may be called twice.
   * Several parts can hold at once, and none can let go for another. The reason is shown to the public.
   */
  hold(reason: string): () => void {
    checkText('reason', reason);
    const hold = { reason };
    this.#holds.add(hold);
    this.#host.onToggle();
    return () => {
      if (this.#holds.delete(hold)) this.#host.onToggle();
    };
  }

  /** Begins to drain: readiness fails from now on for good, liveness passes. A second call changes nothing. */
  drain(reason = 'draining'): void {
    checkText('reason', reason);
    if (this.#draining !== undefined) return;
    this.#draining = reason;
    this.#host.onToggle();
    this.#shutdown?.abort(shuttingDown());
  }

  /**
   * Aborted when draining begins, with an `AbortError`: for long work that can stop early. Made when it is first asked for.
   * A signal keeps each of its listeners: who listens for one job removes the listener with the job.
   * A listener that throws is an uncaught exception, as with any EventTarget.
   */
  get shutdownSignal(): AbortSignal {
    if (this.#shutdown === undefined) {
      this.#shutdown = new AbortController();
      if (this.#draining !== undefined) this.#shutdown.abort(shuttingDown());
    }
    return this.#shutdown.signal;
  }

  /** A shutdown waits for the work until its deadline. Gives back what it was given: a rejection stays the caller's to handle. The name is for the log. */
  track<T extends PromiseLike<unknown>>(work: T, name = 'work'): T {
    if (typeof (work as Partial<T> | undefined)?.then !== 'function') {
      throw new TypeError(`Expected \`work\` to be a promise, got ${show(work)}. For work without one there is \`holdShutdown(name)\`.`);
    }
    const end = this.holdShutdown(name);
    Promise.resolve(work).then(end, end);
    return work;
  }

  /** A shutdown waits, until its deadline, for the function that it returns to be called, which may be called twice. Readiness is not touched. The name is for the log. */
  holdShutdown(name: string): () => void {
    checkText('name', name);
    return this.work.begin(name);
  }

  /** @throws NotReady with all reasons, where the kind fails. */
  check({ kind }: Pick<ProbeContext, 'kind'>): void {
    if (this.#hasNothingToSay(kind)) return;
    const reasons = this.#reasonsOf(kind);
    if (reasons.length > 0) throw new NotReady(reasons.join('; '));
  }

  /** The way of nearly all checks, without an array. */
  #hasNothingToSay(kind: ProbeKind): boolean {
    if (kind === 'liveness') return this.#notLive === undefined;
    if (kind === 'startup') return this.#starting.isDone;
    const isQuiet = this.#draining === undefined && this.#notReady === undefined && this.#holds.size === 0;
    return isQuiet && this.#starting.isDone && !this.#host.hasPendingStartups();
  }

  #reasonsOf(kind: ProbeKind): string[] {
    if (kind === 'liveness') return this.#reasonsNotLive();
    return kind === 'startup' ? [`starting: waiting for ${this.#starting.names.join(', ')}`] : this.#reasonsNotReady();
  }

  /** While draining there are none: a restart would cut what is under way. */
  #reasonsNotLive(): string[] {
    return this.#notLive === undefined || this.#draining !== undefined ? [] : [this.#notLive];
  }

  #reasonsNotReady(): string[] {
    const reasons: string[] = [];
    if (this.#draining !== undefined) reasons.push(this.#draining);
    const pending = this.#pending;
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

/** Without one the public, or the operator, would read nothing. */
function checkText(name: string, value: unknown): void {
  if (typeof value !== 'string' || value === '') throw new TypeError(`Expected \`${name}\` to be a non-empty string, got ${show(value)}.`);
}

/** The name that `fetch` and the like give it, so that one test for it serves all. */
function shuttingDown(): DOMException {
  return new DOMException('the application is shutting down', 'AbortError');
}
