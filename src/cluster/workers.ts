import cluster from 'node:cluster';
import type { FieldLogger } from '../logger.js';
import { WORKER_VARIABLE } from '../shutdown/options.js';
import type { WorkerReport, WorkerSettings } from './messages.js';
import type { ResolvedClusterOptions } from './options.js';
import { WatchedClock } from './watched-clock.js';
import { WorkerSlot } from './worker-slot.js';
import type { WorkerState } from './worker-state.js';

/** How often a worker reports in the time without a report after which it is not ready. */
const BEATS = 4;

export interface NumberedState extends WorkerState {
  readonly number: number;
}

interface WorkersHost {
  readonly logger: FieldLogger;
  readonly isDraining: () => boolean;
  /** The state of a worker is another one. */
  readonly onChange: () => void;
}

/** The workers of one cluster: started, watched, replaced, told whether to listen, and ended. */
export class Workers {
  readonly #slots: readonly WorkerSlot[];
  readonly #clock: WatchedClock;
  readonly #beatMs: number;
  #watch: NodeJS.Timeout | undefined;
  #isLeaving = false;

  constructor(
    options: ResolvedClusterOptions,
    private readonly host: WorkersHost,
  ) {
    this.#beatMs = options.notReadyAfterMs / BEATS;
    this.#clock = new WatchedClock(2 * this.#beatMs);
    const settings: WorkerSettings = { beatMs: this.#beatMs, intervalMs: options.intervalMs };
    cluster.setupPrimary();
    const slotHost = {
      options,
      logger: host.logger,
      settings: { ...cluster.settings },
      environment: { [WORKER_VARIABLE]: JSON.stringify(settings) },
      now: () => this.#clock.now,
      hasOthers: (slot: WorkerSlot) => this.#slots.some((other) => other !== slot && other.process?.report?.isListening === true),
      isDraining: () => this.#isLeaving || host.isDraining(),
      onNews: (slot: WorkerSlot) => this.#onNews(slot),
    };
    this.#slots = Array.from({ length: options.workers }, (_, index) => new WorkerSlot(index + 1, slotHost));
  }

  get states(): NumberedState[] {
    return this.#slots.map(({ number, state }) => ({ number, ...state }));
  }

  /** The last report of each worker that has one. */
  get reports(): WorkerReport[] {
    return this.#slots.map(({ process }) => process?.report).filter((report) => report !== undefined);
  }

  start(): void {
    this.#watch = setInterval(() => this.#look(), this.#beatMs).unref();
    process.on('exit', this.#onExit);
    for (const slot of this.#slots) slot.start();
  }

  /** Tells every worker to shut down, and starts no other. `hold` begins what is waited for, one for each worker, and `onEnd` hears whether that ended well. */
  leave(hold: (name: string) => () => void, onEnd: (isClean: boolean) => void): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    for (const slot of this.#slots) {
      const release = hold(`worker ${String(slot.number)}`);
      slot.leave((isClean) => {
        onEnd(isClean);
        release();
      });
    }
  }

  /** Ends what is left of them at once. */
  kill(): void {
    for (const { process } of this.#slots) process?.kill('SIGKILL');
  }

  /** Watches nothing any more. */
  stop(): void {
    clearInterval(this.#watch);
    process.off('exit', this.#onExit);
  }

  /** Node ends a worker whose primary is gone, unless its event loop is blocked. */
  readonly #onExit = (): void => {
    for (const { process, state } of this.#slots) if (state.life !== 'live') process?.kill('SIGKILL');
  };

  #look(): void {
    this.#clock.step();
    for (const slot of this.#slots) {
      slot.look();
      this.#onNews(slot);
    }
  }

  #onNews(slot: WorkerSlot): void {
    if (!slot.takeNews()) return;
    if (!this.#isLeaving) this.#orderListeners();
    this.host.onChange();
  }

  /** Round robin gives every worker its turn, ready or not. As long as none is ready, they serve as one process would that is not ready. */
  #orderListeners(): void {
    const { states } = this;
    const isAnyReady = states.some(({ isReady }) => isReady);
    for (const [index, { process }] of this.#slots.entries()) process?.order(!isAnyReady || states[index]?.isWilling === true);
  }
}
