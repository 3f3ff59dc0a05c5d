import { COMPLAINT_PAUSES_MS, Pace } from '../registry/pace.js';

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 30_000;

/** A worker that has run for so long is no part of a crash loop. The kubelet reckons the same of containers. */
const STEADY_MS = 600_000;

/** A worker that shuts down by itself, and has run for so long, is no part of one either: applications renew their workers. */
const RENEWED_AFTER_MS = 60_000;

/** So many ends in a row, each before the worker has run steadily, are a crash loop. */
const LOOP_LENGTH = 3;

interface WorkerEnd {
  readonly lifetimeMs: number;
  /** Whether its graceful shutdown went well. */
  readonly hasShutDown: boolean;
  /** A reading of `performance.now()`. */
  readonly now: number;
}

export interface Restart {
  readonly pauseMs: number;
  readonly isLoop: boolean;
  /** Whether the operator is to read of it: each end, the begin of a crash loop, and the loop itself ever more rarely. */
  readonly isTold: boolean;
}

/** When a worker that has ended is started again: after a pause that doubles with each end in a row. */
export class Restarts {
  #endsInARow = 0;
  #paceOfLoop = new Pace(COMPLAINT_PAUSES_MS.slice(1));

  /** Ends since the worker last ran steadily. */
  get endsInARow(): number {
    return this.#endsInARow;
  }

  get isLoop(): boolean {
    return this.#endsInARow >= LOOP_LENGTH;
  }

  noteEnd({ lifetimeMs, hasShutDown, now }: WorkerEnd): Restart {
    if (hasShutDown && lifetimeMs >= RENEWED_AFTER_MS) return { pauseMs: FIRST_PAUSE_MS, isLoop: false, isTold: true };
    if (lifetimeMs >= STEADY_MS) this.#reset();
    this.#endsInARow += 1;
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** (this.#endsInARow - 1), LONGEST_PAUSE_MS);
    return { pauseMs, isLoop: this.isLoop, isTold: !this.isLoop || this.#paceOfLoop.take(now) };
  }

  /** Whether a crash loop is over, told once. */
  noteLife(lifetimeMs: number): boolean {
    if (lifetimeMs < STEADY_MS || this.#endsInARow === 0) return false;
    const wasLoop = this.isLoop;
    this.#reset();
    return wasLoop;
  }

  #reset(): void {
    this.#endsInARow = 0;
    this.#paceOfLoop = new Pace(COMPLAINT_PAUSES_MS.slice(1));
  }
}
