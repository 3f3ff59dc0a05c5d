import { Server } from 'node:net';
import { inspect } from 'node:util';
import { ConfigurationError } from '../errors.js';
import type { ProbeRegistry } from '../registry/registry.js';
import { show } from '../validation.js';
import { Connections } from './connections.js';
import { Installation } from './installation.js';
import { resolveShutdownOptions, type ResolvedShutdownOptions, type ShutdownOptions } from './options.js';
import { ShutdownSequence, type ShutdownHook } from './sequence.js';

export interface GracefulShutdown {
  /**
   * Registers a hook that is called when the listeners are closed, all of this kind together, or at once where they are already: it ends what would go on by itself, WebSockets, event streams, the consumer of a queue.
   * The shutdown waits for it beside the requests in flight. It must not wait for `shutdown()`, which waits for the hook.
   */
  onClosing(this: void, name: string, hook: ShutdownHook): void;
  /**
   * Registers a hook that is called when nothing is in flight any more, one after another, the last that was registered first, or at once where that is over: it closes what the requests needed.
   * One that fails is logged, makes the exit code 1, and stops no other. It must not wait for `shutdown()`, which waits for the hook.
   */
  onShutdown(this: void, name: string, hook: ShutdownHook): void;
  /** Begins the shutdown as a signal does. Resolves to the exit code, where the process goes on. A second call gives the same promise. The reason is for the log. */
  shutdown(this: void, reason?: string): Promise<number>;
  /** Takes all listeners off. May be called twice; a shutdown under way goes on to its end. */
  uninstall(this: void): void;
}

/**
 * Ends the process without losing a request. On the first signal, at once: readiness fails for good while liveness passes, and every answer tells its client to leave the connection.
 * After `drainDelayMs` the listeners are closed; what is in flight goes on to its end; then come the hooks, the container's deactivation, and exit 0, or 1 where one of them failed.
 * When `timeoutMs` is over: exit 1. A signal while a shutdown is under way: exit 1 at once.
 *
 * Takes http, https and http2 servers; for a worker that has none, `[]`. Several calls in one process run side by side, and the last to finish exits.
 *
 * @throws ConfigurationError where an option is out of its range, or something else than a server or a registry is given.
 */
export function gracefulShutdown(
  servers: Server | readonly Server[],
  probes: ProbeRegistry,
  options: ShutdownOptions = {},
): GracefulShutdown {
  checkRegistry(probes);
  const distinct = [...new Set(Array.isArray(servers) ? (servers as readonly Server[]) : [servers as Server])];
  distinct.forEach(checkServer);
  const resolved = resolveShutdownOptions(options, { hasServer: distinct.length > 0, environment: process.env, logger: probes.logger });
  return new ProcessShutdown(distinct, probes, resolved);
}

class ProcessShutdown implements GracefulShutdown {
  readonly #connections: Connections;
  readonly #installation: Installation;
  readonly #sequence: ShutdownSequence;
  #isListening = true;
  #isExiting = false;
  #underWay: Promise<number> | undefined;

  constructor(
    servers: readonly Server[],
    private readonly probes: ProbeRegistry,
    private readonly options: ResolvedShutdownOptions,
  ) {
    this.#connections = new Connections(servers);
    this.#installation = new Installation(probes);
    this.#sequence = new ShutdownSequence(this.#connections, probes, this.#installation, options);
    for (const signal of options.signals) process.on(signal, this.#onSignal);
    if (!options.uncaughtErrors) return;
    process.on('uncaughtException', this.#onUncaughtException);
    // Node makes an exception of it only where nobody else listens.
    process.on('unhandledRejection', this.#onUnhandledRejection);
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
    if (this.#underWay === undefined && !this.#isListening) {
      throw new ConfigurationError('shutdown() was called after uninstall(). Call gracefulShutdown() again first.');
    }
    return (this.#underWay ??= this.#run(reason));
  };

  readonly uninstall = (): void => {
    this.#stopListening();
    // A shutdown under way does this when it is through.
    if (this.#underWay === undefined) this.#leave();
  };

  readonly #onSignal = (signal: string): void => {
    if (this.#underWay === undefined) return void this.shutdown(signal);
    this.probes.logger.error(`${signal} while a shutdown is under way: exit at once`);
    this.#exit(1);
  };

  readonly #onUncaughtException = (error: unknown, origin: string): void => {
    this.probes.logger.error(`${origin}: ${inspect(error)}`);
    this.#sequence.hasFailed = true;
    void this.shutdown(origin);
  };

  readonly #onUnhandledRejection = (error: unknown): void => this.#onUncaughtException(error, 'unhandledRejection');

  async #run(reason: string): Promise<number> {
    this.#installation.isUnderWay = true;
    await this.#sequence.run(reason);
    // Of another shutdown in this process, or of the application.
    const code = this.#sequence.hasFailed ? 1 : Number(process.exitCode ?? 0);
    process.exitCode = code;
    const isLast = this.#leave();
    if (!isLast || this.options.exit === false) this.#stopListening();
    else if (!this.#isExiting) this.#exit(code);
    return code;
  }

  #stopListening(): void {
    this.#isListening = false;
    for (const signal of this.options.signals) process.off(signal, this.#onSignal);
    this.#stopCatching();
  }

  #stopCatching(): void {
    process.off('uncaughtException', this.#onUncaughtException);
    process.off('unhandledRejection', this.#onUnhandledRejection);
  }

  #leave(): boolean {
    this.#connections.unwatch();
    return this.#installation.end();
  }

  /** A function has its time, until the next signal. */
  #exit(code: number): void {
    if (typeof this.options.exit !== 'function' || this.#isExiting) process.exit(code);
    this.#isExiting = true;
    // Nothing is left that would end the process where the function fails.
    this.#stopCatching();
    this.options.exit(code);
  }
}

/** By its parts: it may come from another installed copy of the package. */
function checkRegistry(probes: Partial<ProbeRegistry> | undefined): void {
  if (typeof probes?.lifecycle?.drain === 'function' && typeof probes.run === 'function') return;
  throw new ConfigurationError(
    `Expected \`probes\` of gracefulShutdown() to be a ProbeRegistry, got ${show(probes)}. Give it what discoverProbes() resolves to.`,
  );
}

function checkServer(server: unknown): void {
  if (server instanceof Server) return;
  throw new ConfigurationError(
    `Expected \`servers\` of gracefulShutdown() to be a server or an array of them, got ${show(server)}. Give it what app.listen() returns, or \`[]\` for a worker without a server.`,
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
  throw new ConfigurationError(`Expected \`reason\` of shutdown() to be a text, got ${show(reason)}.`);
}
