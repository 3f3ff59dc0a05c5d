import { NotReady } from '../errors.js';
import type { ProbeLogger } from '../logger.js';
import type { Probe, ProbeContext, ProbeKind } from '../probe.js';
import { show } from '../validation.js';
import { Work } from './work.js';

export const LIFECYCLE_STATES = ['starting', 'running', 'draining'] as const;

/** `starting` until every startup probe has passed once, then `running`. `draining` once a shutdown has begun; this state is final. */
export type LifecycleState = (typeof LIFECYCLE_STATES)[number];

/** The progress of a graceful shutdown. */
export interface ShutdownProgress {
  /**
   * - `draining`: the shutdown has begun, and new requests are still served.
   * - `closing`: the listeners are closed, and requests in flight continue.
   * - `hooks`: all requests and all tracked work finished, and the hooks run.
   * - `deactivating`: all hooks finished, and the container deactivates its instances.
   * - `finished`: the shutdown is complete.
   * - `timed out`: the deadline was exceeded in one of the other phases.
   */
  readonly phase: 'draining' | 'closing' | 'hooks' | 'deactivating' | 'finished' | 'timed out';
  /** The signal, or the reason that was passed to `shutdown()`. */
  readonly reason: string;
  /** Time since the shutdown began, in milliseconds. */
  readonly elapsedMs: number;
  /** Number of open connections. */
  readonly connections: number;
  /** Number of open connections that were upgraded to a WebSocket or another tunnel. The shutdown does not wait for them. */
  readonly upgradedConnections: number;
  /** Number of requests in flight: their response has not been sent completely. */
  readonly requests: number;
  /** Number of requests in flight that began more than a minute ago. Usually these are event streams. */
  readonly longRequests: number;
  /** Names of the work and of the running hooks that the shutdown waits for. */
  readonly work: readonly string[];
  /** Names of the hooks that have not begun, in the order in which they will be called. */
  readonly hooks: readonly string[];
}

/** The part of a registry that the lifecycle needs. */
export interface LifecycleHost {
  readonly logger: ProbeLogger;
  /** Names of the startup probes that have not passed yet. */
  pendingStartups(): readonly string[];
  hasPendingStartups(): boolean;
  /** Called when a toggle was changed. */
  onToggle(): void;
}

/**
 * The state of the application, the manual toggles, and the work that a shutdown waits for.
 * Its state is reported as a check named `lifecycle`, which is part of liveness and readiness.
 */
export class Lifecycle implements Probe {
  readonly #host: LifecycleHost;
  readonly #holds = new Set<{ readonly reason: string }>();
  #notLive: string | undefined;
  #notReady: string | undefined;
  #draining: string | undefined;
  #shutdown: AbortController | undefined;
  #isShuttingDown = false;
  /** Parts of the start other than the startup probes. */
  readonly #starting = new Work();
  /** @internal */
  readonly work = new Work();
  /** @internal Servers that answer probes until the registry is closed, even after the listeners of the application are closed. */
  readonly lastingAnswerers = new Set<object>();

  /** @internal */
  constructor(host: LifecycleHost) {
    this.#host = host;
  }

  /** The current state of the application. */
  get state(): LifecycleState {
    if (this.#draining !== undefined) return 'draining';
    return this.#pending.length > 0 ? 'starting' : 'running';
  }

  /** @internal The application is `starting` until the returned function is called. The public can read the name. */
  beginStart(name: string): () => void {
    return this.#starting.begin(name);
  }

  /** @internal Whether a part of the start that `beginStart()` has announced is still in progress. The startup probes are not known yet. */
  get isBeingStarted(): boolean {
    return !this.#starting.isDone;
  }

  /** @internal Whether the process is about to exit, so that a start in progress can stop. */
  get isShuttingDown(): boolean {
    return this.#isShuttingDown;
  }

  /** @internal Starts draining as the first step of a shutdown. */
  beginShutdown(): void {
    this.#isShuttingDown = true;
    this.drain();
  }

  get #pending(): readonly string[] {
    return [...this.#starting.names, ...this.#host.pendingStartups()];
  }

  /** @internal Whether `setReady(false)` is in effect. */
  get isSwitchedOff(): boolean {
    return this.#notReady !== undefined;
  }

  /** @internal The reason of `setReady(false)`; undefined if it is not in effect. */
  get switchedOffReason(): string | undefined {
    return this.#notReady;
  }

  /** @internal The reasons of the holds that have not been released. */
  get holdReasons(): readonly string[] {
    return Array.from(this.#holds, ({ reason }) => reason);
  }

  /** @internal Returns why the application itself fails this kind now, independent of its probes. */
  reasonFor(kind: ProbeKind): string | undefined {
    return this.hasNothingToSay(kind) ? undefined : this.#reasonsOf(kind).join('; ') || undefined;
  }

  /**
   * Turns readiness off or on. The public can read the reason.
   * While draining, `setReady(true)` is ignored and logs a warning.
   *
   * @param reason why readiness is off, `readiness is switched off` by default
   * @throws TypeError if `isReady` is not a boolean or `reason` is not a non-empty string
   */
  setReady(isReady: boolean, reason = 'readiness is switched off'): void {
    checkBoolean('isReady', isReady);
    checkText('reason', reason);
    if (isReady && this.#draining !== undefined) {
      this.#host.logger.warn('setReady(true) is ignored: the application is draining');
    }
    this.#notReady = isReady ? undefined : reason;
    this.#host.onToggle();
  }

  /**
   * Turns liveness off or on. Kubernetes restarts the container while liveness is off. The public can read the reason.
   * While draining, liveness passes even if it is off.
   *
   * @param reason why liveness is off, `liveness is switched off` by default
   * @throws TypeError if `isLive` is not a boolean or `reason` is not a non-empty string
   */
  setLive(isLive: boolean, reason = 'liveness is switched off'): void {
    checkBoolean('isLive', isLive);
    checkText('reason', reason);
    this.#notLive = isLive ? undefined : reason;
    this.#host.onToggle();
  }

  /**
   * Holds readiness off until the returned function is called. Further calls of that function have no effect.
   * Several parts of an application can hold readiness off at the same time. Readiness stays off until all of them have released it. The public can read the reason.
   *
   * @throws TypeError if `reason` is not a non-empty string
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

  /**
   * Starts draining: from now on readiness fails and liveness passes. This cannot be undone, and a second call has no effect.
   *
   * @param reason shown to the public, `draining` by default
   * @throws TypeError if `reason` is not a non-empty string
   */
  drain(reason = 'draining'): void {
    checkText('reason', reason);
    if (this.#draining !== undefined) return;
    this.#draining = reason;
    this.#host.onToggle();
    this.#shutdown?.abort(shuttingDown());
  }

  /**
   * Aborted with an `AbortError` when draining begins. Use it for long work that can stop early. The signal is created at the first access.
   * Remove a listener when its work is done, because a signal keeps all of its listeners.
   * If a listener throws, the error is an uncaught exception, as with any `EventTarget`.
   */
  get shutdownSignal(): AbortSignal {
    if (this.#shutdown === undefined) {
      this.#shutdown = new AbortController();
      if (this.#draining !== undefined) this.#shutdown.abort(shuttingDown());
    }
    return this.#shutdown.signal;
  }

  /**
   * Makes a shutdown wait for `work`, until the deadline of the shutdown. Returns `work` itself, so the caller still has to handle a rejection.
   *
   * @param name shown in the log, `work` by default
   * @throws TypeError if `work` is not a promise or `name` is not a non-empty string
   */
  track<T extends PromiseLike<unknown>>(work: T, name = 'work'): T {
    if (typeof (work as Partial<T> | undefined)?.then !== 'function') {
      throw new TypeError(`Expected \`work\` to be a promise, got ${show(work)}. For work without a promise, call \`holdShutdown(name)\`.`);
    }
    const end = this.holdShutdown(name);
    Promise.resolve(work).then(end, end);
    return work;
  }

  /**
   * Makes a shutdown wait until the returned function is called, or until the deadline of the shutdown. Further calls of that function have no effect. Readiness does not change.
   *
   * @param name shown in the log
   * @throws TypeError if `name` is not a non-empty string
   */
  holdShutdown(name: string): () => void {
    checkText('name', name);
    return this.work.begin(name);
  }

  /** @throws NotReady with all reasons, if the kind fails */
  check({ kind }: Pick<ProbeContext, 'kind'>): void {
    if (this.hasNothingToSay(kind)) return;
    const reasons = this.#reasonsOf(kind);
    if (reasons.length > 0) throw new NotReady(reasons.join('; '));
  }

  /** Returns whether the kind passes. Nearly all checks end here, without creating an array. */
  hasNothingToSay(kind: ProbeKind): boolean {
    if (kind === 'liveness') return this.#notLive === undefined;
    if (kind === 'startup') return this.#starting.isDone;
    const isQuiet = this.#draining === undefined && this.#notReady === undefined && this.#holds.size === 0;
    return isQuiet && this.#starting.isDone && !this.#host.hasPendingStartups();
  }

  #reasonsOf(kind: ProbeKind): string[] {
    if (kind === 'liveness') return this.#reasonsNotLive();
    return kind === 'startup' ? [`starting: waiting for ${this.#starting.names.join(', ')}`] : this.#reasonsNotReady();
  }

  /** Returns no reasons while draining, because a restart would cut off requests in flight. */
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

/** A string from a form or the environment would count as true. */
function checkBoolean(name: string, value: unknown): void {
  if (typeof value !== 'boolean') throw new TypeError(`Expected \`${name}\` to be true or false, got ${show(value)}.`);
}

/** An empty text would tell the public and the operator nothing. */
function checkText(name: string, value: unknown): void {
  if (typeof value !== 'string' || value === '') throw new TypeError(`Expected \`${name}\` to be a non-empty string, got ${show(value)}.`);
}

/** The error has the same name as the one that `fetch()` and other APIs throw, so one test recognizes both. */
function shuttingDown(): DOMException {
  return new DOMException('the application is shutting down', 'AbortError');
}
