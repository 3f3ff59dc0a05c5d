import type { Server } from 'node:net';
import { isMainThread } from 'node:worker_threads';
import { ConfigurationError, describeError } from '../errors.js';
import type { ProbeRegistry } from '../registry/registry.js';
import { show } from '../validation.js';
import { checkRegistry, readServers } from './arguments.js';
import { Connections } from './connections.js';
import { HeardSignals } from './heard-signals.js';
import { Installation } from './installation.js';
import { resolveShutdownOptions, type ResolvedShutdownOptions, type ShutdownOptions } from './options.js';
import { describeShutdown } from './served.js';
import { ShutdownSequence, type ShutdownHook } from './sequence.js';
import { UncaughtErrors } from './uncaught-errors.js';

export interface GracefulShutdown {
  /**
   * Registers a hook that is called when the listeners are closed, all hooks of this kind together, or at once if they are closed already. It ends what does not end by itself: event streams, the consumer of a queue,
   * and WebSockets if their clients are to hear a goodbye. The shutdown waits for it beside the requests in flight. It must not wait for `shutdown()`, which waits for the hook.
   */
  onClosing(this: void, name: string, hook: ShutdownHook): void;
  /**
   * Registers a hook that is called when all requests and background work finished, one after another, the last registered first, or at once if that is over. It closes what the requests needed.
   * A hook that fails is logged, makes the exit code 1, and stops no other hook. It must not wait for `shutdown()`, which waits for the hook.
   */
  onShutdown(this: void, name: string, hook: ShutdownHook): void;
  /**
   * Begins the shutdown as a signal does, and is not counted as one. Resolves to the exit code if the process goes on. A second call gives the same promise. The reason is for the log.
   */
  shutdown(this: void, reason?: string): Promise<number>;
  /** Removes all listeners. May be called twice; a shutdown under way goes on to its end. */
  uninstall(this: void): void;
}

/**
 * Ends the process without losing a request. On the first signal, at once: readiness fails for good while liveness passes, and every response tells its client to leave the connection.
 * After `drainDelayMs` the listeners are closed and requests in flight finish; then come the hooks, the container's deactivation, and exit 0, or 1 if one of them failed.
 * WebSockets and other upgraded connections are not waited for: they are closed after the hooks. At `timeoutMs`: exit 1.
 * A second SIGTERM changes nothing. A second SIGINT, more than a second after the first signal, exits with 1 at once.
 *
 * Takes http, https and http2 servers; `[]` for a worker without one. Install it before the server listens, and before `discoverProbes(container, { registry })` if a signal during the start is to be heard.
 * Several calls in one process run side by side, and the last to finish exits.
 *
 * @throws ConfigurationError if an option is out of its range, if something else than a server or a registry is given, or in a worker thread, which gets no signals.
 */
export function gracefulShutdown(
  servers: Server | readonly Server[],
  probes: ProbeRegistry,
  options: ShutdownOptions = {},
): GracefulShutdown {
  checkRegistry('gracefulShutdown()', probes);
  const distinct = readServers('gracefulShutdown()', servers);
  const resolved = resolveShutdownOptions(options, { hasServer: distinct.length > 0, environment: process.env, logger: probes.logger });
  checkThread(resolved.signals);
  const takeNoteBack = probes.servingNotes.noteShutdown(() => describeShutdown(distinct, options, resolved));
  return new ProcessShutdown(distinct, probes, resolved, takeNoteBack);
}

class ProcessShutdown implements GracefulShutdown {
  readonly #connections: Connections;
  readonly #installation: Installation;
  readonly #sequence: ShutdownSequence;
  readonly #heard = new HeardSignals();
  readonly #uncaught: UncaughtErrors;
  #isListening = true;
  #isExiting = false;
  #underWay: Promise<number> | undefined;

  constructor(
    private readonly servers: readonly Server[],
    private readonly probes: ProbeRegistry,
    private readonly options: ResolvedShutdownOptions,
    private readonly takeNoteBack: () => void,
  ) {
    this.#connections = new Connections(servers);
    this.#installation = new Installation(probes);
    this.#sequence = new ShutdownSequence(this.#connections, probes, this.#installation, options);
    this.#uncaught = new UncaughtErrors(probes.logger, this.#onUncaughtError);
    for (const signal of options.signals) process.on(signal, this.#onSignal);
    if (options.uncaughtErrors) this.#uncaught.listen();
  }

  readonly onClosing = (name: string, hook: ShutdownHook): void => {
    checkHook('onClosing()', name, hook);
    this.#sequence.addClosingHook({ name, hook });
  };

  readonly onShutdown = (name: string, hook: ShutdownHook): void => {
    checkHook('onShutdown()', name, hook);
    this.#sequence.addHook({ name, hook });
  };

  readonly shutdown = (reason = 'the application'): Promise<number> => {
    checkReason(reason);
    if (this.#underWay !== undefined) return this.#underWay;
    if (!this.#isListening) {
      throw new ConfigurationError('shutdown() was called after uninstall(). Call gracefulShutdown() again first.');
    }
    this.#tellOfLiveness(reason);
    return this.#begin(reason);
  };

  readonly uninstall = (): void => {
    this.#stopListening();
    // A shutdown under way does this at its end.
    if (this.#underWay === undefined) this.#leave();
  };

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    const heard = this.#heard.hear();
    if (this.#underWay === undefined) return void this.#begin(signal);
    if (heard === 'same') return;
    if (heard === 'repeated' && this.#decide(signal) === 'exit') {
      this.#sequence.log('error', `${signal} again, exiting with 1 at once`);
      return this.#exit(1);
    }
    const signalled = heard === 'first' ? signal : `${signal} again`;
    this.#sequence.log('info', `${signalled}, the shutdown goes on until ${String(this.options.timeoutMs)} ms at the latest`);
  };

  #decide(signal: NodeJS.Signals): unknown {
    try {
      return this.options.onRepeatedSignal(signal);
    } catch (error) {
      this.probes.logger.error(`\`onRepeatedSignal\` of gracefulShutdown() failed: ${describeError(error)}`);
      return 'continue';
    }
  }

  readonly #onUncaughtError = (origin: string): void => {
    this.#sequence.hasFailed = true;
    void this.shutdown(origin);
  };

  /** Kubernetes does not know of this shutdown, and goes on to ask for liveness. */
  #tellOfLiveness(reason: string): void {
    const { isInKubernetes, drainDelayMs } = this.options;
    if (!isInKubernetes || this.servers.length === 0 || this.probes.lifecycle.lastingAnswerers.size > 0) return;
    this.probes.logger.info(
      `shutdown by ${reason}: Kubernetes did not ask for it, and goes on to probe liveness, which is answered until the listeners close in ${String(drainDelayMs)} ms. ` +
        'Answer the probes with probeServer() to have them answered until the process exits.',
    );
  }

  #begin(reason: string): Promise<number> {
    return (this.#underWay ??= this.#run(reason));
  }

  async #run(reason: string): Promise<number> {
    this.#installation.isUnderWay = true;
    await this.#sequence.run(reason);
    // Of another shutdown in this process, or of the application.
    const code = this.#sequence.hasFailed ? 1 : Number(process.exitCode ?? 0);
    process.exitCode = code;
    const isLast = this.#leave();
    if (isLast && this.options.exit !== false) {
      if (!this.#isExiting) this.#exit(code);
      return code;
    }
    this.#uncaught.logCount();
    this.#stopListening();
    return code;
  }

  #stopListening(): void {
    this.#isListening = false;
    for (const signal of this.options.signals) process.off(signal, this.#onSignal);
    this.#uncaught.stop();
  }

  #leave(): boolean {
    this.takeNoteBack();
    this.#connections.unwatch();
    return this.#installation.end();
  }

  /** The function of the application takes the place of `process.exit()`, and is called once. */
  #exit(code: number): void {
    this.#uncaught.logCount();
    const { exit } = this.options;
    if (typeof exit !== 'function' || this.#isExiting) process.exit(code);
    this.#isExiting = true;
    // Nothing is left that would end the process if the function fails.
    this.#uncaught.stop();
    void this.#callExit(exit, code);
  }

  async #callExit(exit: (code: number) => unknown, code: number): Promise<void> {
    try {
      await exit(code);
    } catch (error) {
      this.probes.logger.error(`\`exit\` of gracefulShutdown() failed: ${describeError(error)}`);
      process.exit(1);
    }
  }
}

/** Node delivers signals to the main thread alone. */
function checkThread(signals: readonly string[]): void {
  if (isMainThread || signals.length === 0) return;
  throw new ConfigurationError(
    'gracefulShutdown() gets no signals in a worker thread. Call it in the main thread, and have that thread tell its workers; or pass `signals: []` here and call shutdown() when the main thread says so.',
  );
}

function checkHook(method: string, name: unknown, hook: unknown): void {
  if (typeof name === 'string' && name !== '' && typeof hook === 'function') return;
  throw new ConfigurationError(
    `Expected ${method} to get a name and a function, got ${show(name)} and ${show(hook)}: \`${method.replace('()', '')}('database', () => knex.destroy())\`.`,
  );
}

function checkReason(reason: unknown): void {
  if (typeof reason === 'string' && reason !== '') return;
  throw new ConfigurationError(`Expected \`reason\` of shutdown() to be a non-empty string, got ${show(reason)}.`);
}
