import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { describeError } from '../errors.js';
import type { ShutdownProgress } from '../lifecycle/lifecycle.js';
import type { ProbeRegistry } from '../registry/registry.js';
import { Work } from '../lifecycle/work.js';
import type { Connections } from './connections.js';
import type { Installation } from './installation.js';
import { describeProgress } from './progress.js';

/** A request that lasts longer than this is not likely to end by itself. */
const LONG_REQUEST_MS = 60_000;

/** How long the client of an upgraded connection has to close its side. */
const GOODBYE_MS = 500;

/** A function that a shutdown calls with its reason. The shutdown waits if it returns a promise. */
export type ShutdownHook = (reason: string) => unknown;

interface NamedHook {
  readonly name: string;
  readonly hook: ShutdownHook;
}

interface Times {
  readonly drainDelayMs: number;
  readonly timeoutMs: number;
}

/** The steps of one shutdown in their order, and its progress. It knows nothing about signals and exits. */
export class ShutdownSequence {
  /** Whether a hook or a deactivation failed, or the deadline was exceeded. */
  hasFailed = false;
  readonly #closingHooks: NamedHook[] = [];
  readonly #hooks: NamedHook[] = [];
  /** Hooks that have begun. They are kept apart from the work of the application, because another shutdown may wait for that work too. */
  readonly #begun = new Work();
  #phase: ShutdownProgress['phase'] = 'draining';
  #reason = '';
  #beganAt = 0;
  #isClosing = false;
  #isPastHooks = false;
  #isOver = false;

  constructor(
    private readonly connections: Connections,
    private readonly probes: ProbeRegistry,
    private readonly installation: Installation,
    private readonly times: Times,
  ) {}

  addClosingHook(hook: NamedHook): void {
    if (this.#isClosing) void this.#call(hook);
    else this.#closingHooks.push(hook);
  }

  addHook(hook: NamedHook): void {
    if (this.#isPastHooks) void this.#call(hook);
    else this.#hooks.push(hook);
  }

  /** Logs an event within a phase, with the progress. */
  log(level: 'info' | 'error', event: string): void {
    this.probes.logger[level](describeProgress(this.#progress(this.#phase), event));
  }

  /** Draining begins synchronously, in the turn of the signal. The promise resolves when `timeoutMs` is exceeded at the latest. */
  async run(reason: string): Promise<void> {
    this.#reason = reason;
    this.#beganAt = performance.now();
    this.probes.lifecycle.beginShutdown();
    this.connections.announceClose();
    this.#report('draining', this.#describeDrain());
    const deadline = startTimer(this.times.timeoutMs);
    await Promise.race([this.#proceed(), deadline.over]);
    deadline.cancel();
    if (!this.#isOver) this.#cutShort();
  }

  async #proceed(): Promise<void> {
    await this.#drain();
    await this.connections.closeListeners();
    const closed = this.connections.close();
    this.#isClosing = true;
    for (const one of this.#closingHooks) void this.#call(one);
    this.#report('closing');
    await closed;
    // Wait for the requests first and then for the work, because a request or a hook may start work that continues after it.
    await this.#whenAllIsDone();
    if (this.#isOver) return;
    this.#report('hooks');
    for (let next = this.#hooks.pop(); next !== undefined; next = this.#hooks.pop()) {
      await this.#call(next);
      if (this.#isOver) return;
    }
    this.#isPastHooks = true;
    await this.#whenAllIsDone();
    if (this.#isOver) return;
    // Close them before the deactivation: they may use what the container deactivates.
    await this.connections.closeUpgraded(Math.min(GOODBYE_MS, (this.times.timeoutMs - this.#elapsedMs) / 2));
    if (this.#isOver) return;
    this.#report('deactivating');
    if (this.installation.releaseProbes()) {
      this.probes.close();
      await this.#call({ name: "the container's deactivation", hook: () => this.probes.deactivate?.() });
    }
    await this.#whenAllIsDone();
    if (this.#isOver) return;
    this.#isOver = true;
    this.#report('finished');
  }

  /** Skips the delay if no server is listening, because no request can arrive. */
  async #drain(): Promise<void> {
    if (this.connections.areClosed) return;
    await pause(this.times.drainDelayMs);
  }

  #describeDrain(): string {
    if (this.connections.areClosed) return 'draining skipped, no server is listening';
    return `draining, new requests are accepted for ${String(this.times.drainDelayMs)} ms`;
  }

  /** Waits for hooks and work in turns, because each may begin the other. */
  async #whenAllIsDone(): Promise<void> {
    const { work } = this.probes.lifecycle;
    do {
      await this.#begun.whenDone();
      await work.whenDone();
    } while (this.#begun.names.length > 0);
  }

  #cutShort(): void {
    this.#isOver = true;
    this.hasFailed = true;
    this.#report('timed out');
    this.connections.destroy();
    if (this.installation.releaseProbes()) this.probes.close();
  }

  async #call({ name, hook }: NamedHook): Promise<void> {
    const end = this.#begun.begin(name);
    try {
      await hook(this.#reason);
    } catch (error) {
      this.hasFailed = true;
      this.probes.logger.error(`shutdown by ${this.#reason}: ${name} failed: ${describeError(error)}`);
    } finally {
      end();
    }
  }

  #report(phase: ShutdownProgress['phase'], event?: string): void {
    const progress = this.#progress(phase);
    this.#phase = phase;
    this.probes.logger[phase === 'timed out' ? 'error' : 'info'](describeProgress(progress, event));
    this.probes.announce('shutdown', progress);
  }

  #progress(phase: ShutdownProgress['phase']): ShutdownProgress {
    return {
      phase,
      reason: this.#reason,
      elapsedMs: this.#elapsedMs,
      connections: this.connections.open,
      upgradedConnections: this.connections.upgraded,
      requests: this.connections.requests,
      longRequests: this.connections.countRequestsBefore(performance.now() - LONG_REQUEST_MS),
      work: [...this.probes.lifecycle.work.names, ...this.#begun.names],
      hooks: this.#hooks.map(({ name }) => name).toReversed(),
    };
  }

  get #elapsedMs(): number {
    return performance.now() - this.#beganAt;
  }
}

/** The timer keeps the process alive. Otherwise a process with a hanging hook could exit with code 0. */
function startTimer(timeoutMs: number): { over: Promise<void>; cancel: () => void } {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  return { over, cancel: () => clearTimeout(timer) };
}
