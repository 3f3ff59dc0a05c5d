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

/** The shutdown that `gracefulShutdown()` has installed. Its methods can be called without their object. */
export interface GracefulShutdown {
  /**
   * Registers a hook that is called when the listeners are closed. All hooks of this kind are called at the same time. If the listeners are already closed, the hook is called at once.
   * Use it to end what does not end by itself: event streams, queue consumers, and WebSockets whose clients expect a closing message.
   * The shutdown waits for the hook and for the requests in flight. The hook must not wait for `shutdown()`, because `shutdown()` waits for the hook.
   *
   * @throws ConfigurationError if `name` is not a non-empty string or `hook` is not a function
   */
  onClosing(this: void, name: string, hook: ShutdownHook): void;
  /**
   * Registers a hook that is called when all requests and all background work finished. Hooks of this kind are called one after another, the last registered first. If all of them have finished, the hook is called at once.
   * Use it to close what the requests needed, for example a database pool.
   * If a hook fails, the error is logged, the exit code is 1, and the other hooks are still called. The hook must not wait for `shutdown()`, because `shutdown()` waits for the hook.
   *
   * @throws ConfigurationError if `name` is not a non-empty string or `hook` is not a function
   */
  onShutdown(this: void, name: string, hook: ShutdownHook): void;
  /**
   * Begins the shutdown as a signal does. It does not count as a signal, so the next signal is the first one. A second call returns the same promise.
   *
   * @param reason shown in the log, `the application` by default
   * @returns the exit code, if the process is not ended by the shutdown
   * @throws ConfigurationError if `reason` is not a non-empty string, or after `uninstall()`
   */
  shutdown(this: void, reason?: string): Promise<number>;
  /** Removes all listeners. A shutdown in progress continues to its end. Further calls have no effect. */
  uninstall(this: void): void;
}

/**
 * Ends the process on a signal without losing a request:
 *
 * 1. At the first signal, readiness starts to fail, liveness still passes, and every response tells its client to close the connection.
 * 2. After `drainDelayMs`, the listeners are closed and the `onClosing()` hooks are called. Requests in flight and background work continue to their end.
 * 3. The `onShutdown()` hooks are called. Then WebSockets and other upgraded connections are closed; the shutdown does not wait for them.
 * 4. The container is deactivated, and the process exits with code 0, or with code 1 if a hook or a deactivation failed.
 *
 * If `timeoutMs` is exceeded, the remaining connections are closed and the process exits with code 1.
 * A second SIGTERM is only logged. A second SIGINT, more than 1 s after the first signal, exits with code 1 at once.
 *
 * `servers` are http, https and http2 servers, or `[]` for a worker without a server. Install the shutdown before the server listens.
 * To handle a signal during the start too, install it before `discoverProbes(container, { registry })`.
 * Several shutdowns in one process run at the same time, and the last one to finish exits.
 *
 * @throws ConfigurationError if an option is out of range, if `servers` or `probes` is something else, or in a worker thread, which receives no signals
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
    // A shutdown in progress does this at its end.
    if (this.#underWay === undefined) this.#leave();
  };

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    const heard = this.#heard.hear();
    if (this.#underWay === undefined) return void this.#begin(signal);
    if (heard === 'same') return;
    if (heard === 'repeated' && this.#decide(signal) === 'exit') {
      this.#sequence.log('error', `${signal} again, exiting with code 1 at once`);
      return this.#exit(1);
    }
    const signalled = heard === 'first' ? signal : `${signal} again`;
    this.#sequence.log('info', `${signalled}, the shutdown continues until ${String(this.options.timeoutMs)} ms at the latest`);
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

  /** Kubernetes does not know about a shutdown that begins in code, so it continues to send liveness probes. */
  #tellOfLiveness(reason: string): void {
    const { isInKubernetes, drainDelayMs } = this.options;
    if (!isInKubernetes || this.servers.length === 0 || this.probes.lifecycle.lastingAnswerers.size > 0) return;
    this.probes.logger.info(
      `shutdown by ${reason}: Kubernetes did not request this shutdown and continues to send liveness probes. They are answered until the listeners close in ${String(drainDelayMs)} ms. ` +
        'Use probeServer() to answer probes until the process exits.',
    );
  }

  #begin(reason: string): Promise<number> {
    return (this.#underWay ??= this.#run(reason));
  }

  async #run(reason: string): Promise<number> {
    this.#installation.isUnderWay = true;
    await this.#sequence.run(reason);
    // Another shutdown in this process, or the application, may have set an exit code.
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

  /** Calls `exit` of the application instead of `process.exit()`, once. */
  #exit(code: number): void {
    this.#uncaught.logCount();
    const { exit } = this.options;
    if (typeof exit !== 'function' || this.#isExiting) process.exit(code);
    this.#isExiting = true;
    // Let Node end the process if the function causes an uncaught error. Nothing else would end it.
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

/** Node delivers signals only to the main thread. */
function checkThread(signals: readonly string[]): void {
  if (isMainThread || signals.length === 0) return;
  throw new ConfigurationError(
    'gracefulShutdown() receives no signals in a worker thread. Call it in the main thread and let that thread notify its workers. Or pass `signals: []` here and call shutdown() when the main thread says so.',
  );
}

function checkHook(method: string, name: unknown, hook: unknown): void {
  if (typeof name === 'string' && name !== '' && typeof hook === 'function') return;
  throw new ConfigurationError(
    `Expected the arguments of ${method} to be a name and a function, got ${show(name)} and ${show(hook)}. Example: \`${method.replace('()', '')}('database', () => knex.destroy())\`.`,
  );
}

function checkReason(reason: unknown): void {
  if (typeof reason === 'string' && reason !== '') return;
  throw new ConfigurationError(`Expected \`reason\` of shutdown() to be a non-empty string, got ${show(reason)}.`);
}
