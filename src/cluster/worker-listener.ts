import { Server } from 'node:net';
import { performance } from 'node:perf_hooks';
import { describeError } from '../errors.js';
import type { FieldLogger } from '../logger.js';
import { COMPLAINT_PAUSES_MS, Pace } from '../registry/pace.js';
import { Connections } from '../shutdown/connections.js';

const LISTEN_AGAIN_AFTER_MS = 1_000;

type Listen = (...given: unknown[]) => Server;

/**
 * The listener of one server of a worker, which it can give up and take again. The connections that are open stay.
 * Refusing connections by `maxConnections` would do the same for round robin alone, and keep both processes busy with handing them to and fro.
 */
export class WorkerListener {
  /** What the server was last told to listen on. The address that it then has says less: a port of 0 is shared by all workers. */
  #address: readonly unknown[] | undefined;
  #mayListen = true;
  /** Since `listening`. Node takes the listener before, and would not say `listening` if it were given up at once. */
  #isUp = false;
  /** While the listener is closed by this class, who watches the connections that are left. */
  #leftConnections: Connections | undefined;
  #emit: Server['emit'] | undefined;
  #isTakingAgain = false;
  #retry: NodeJS.Timeout | undefined;
  readonly #complaints = new Pace(COMPLAINT_PAUSES_MS);

  constructor(
    private readonly server: Server,
    private readonly logger: FieldLogger,
    /** It listens, or does not any more. */
    private readonly onChange: () => void,
  ) {
    const listen = server.listen.bind(server) as Listen;
    server.listen = ((...given: unknown[]) => {
      // Its callback is for the first time alone.
      this.#address = given.filter((one) => typeof one !== 'function');
      return listen(...given);
    }) as Server['listen'];
    server.on('listening', this.#onListening);
  }

  get isListening(): boolean {
    return this.#isUp && this.server.listening;
  }

  allow(mayListen: boolean): void {
    if (mayListen === this.#mayListen) return;
    this.#mayListen = mayListen;
    if (mayListen) this.#takeAgain();
    else if (this.isListening) {
      this.#giveUp();
      this.onChange();
    }
  }

  /** Leaves the server as it is. */
  release(): void {
    clearTimeout(this.#retry);
    this.server.off('listening', this.#onListening).off('error', this.#onError);
    this.#forgetLeft();
  }

  readonly #onListening = (): void => {
    this.#isUp = true;
    this.#isTakingAgain = false;
    this.server.off('error', this.#onError);
    this.#forgetLeft();
    if (!this.#mayListen) this.#giveUp();
    this.onChange();
  };

  /** The listener alone: `close()` of http also cuts the idle connections, whose next request may be on its way. */
  #giveUp(): void {
    if (this.#address === undefined) {
      this.#complain(
        'a server listened before reportToPrimary() was called, so that it cannot stop while the worker is not ready. Call reportToPrimary() first.',
      );
      return;
    }
    this.#isUp = false;
    this.#muteClose();
    this.#leftConnections = new Connections([this.server]);
    this.#leftConnections.announceClose();
    Server.prototype.close.call(this.server);
  }

  #takeAgain(): void {
    if (this.#leftConnections === undefined || this.#isTakingAgain || this.#address === undefined) return;
    this.#isTakingAgain = true;
    this.server.once('error', this.#onError);
    (this.server.listen as Listen)(...this.#address);
  }

  readonly #onError = (error: unknown): void => {
    this.#isTakingAgain = false;
    this.#complain(`a server cannot listen again, and tries every ${String(LISTEN_AGAIN_AFTER_MS)} ms: ${describeError(error)}`);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#mayListen && this.#takeAgain(), LISTEN_AGAIN_AFTER_MS).unref();
  };

  #complain(text: string): void {
    if (this.#complaints.take(performance.now())) this.logger.error(text);
  }

  /** Node says `close` when the last connection ends, and the application might close its database. The server comes back. */
  #muteClose(): void {
    const { server } = this;
    const emit = server.emit.bind(server) as (...event: unknown[]) => boolean;
    this.#emit = server.emit = ((...event: unknown[]) => event[0] !== 'close' && emit(...event)) as Server['emit'];
  }

  #forgetLeft(): void {
    this.#leftConnections?.unwatch();
    this.#leftConnections = undefined;
    // Another one may have taken its place since.
    if (this.#emit !== undefined && this.server.emit === this.#emit) delete (this.server as Partial<Server>).emit;
    this.#emit = undefined;
  }
}
