import type { LoopBeat } from '../thread/loop-beat.js';

const NANOSECONDS_PER_MS = 1_000_000;

/** A thread that did not run for so long was stopped with its whole process: by SIGSTOP, a frozen cgroup or a paused machine. Nothing was blocked then. */
const STOPPED_MS = 500;

/**
 * Whether the main loop turns. It is asked by a message, and answers by its next beat: while it idles, nothing of it has to run.
 * What counts is the time since the first question without an answer, so a block is never said to be longer than it is.
 */
export class LoopWatch {
  #askedAt = 0;
  #isAsking = false;
  #lookedAt = readClock();
  /** How long the last answer took, in milliseconds. */
  answeredAfterMs = 0;

  constructor(
    private readonly beat: LoopBeat,
    private readonly ping: () => void,
  ) {}

  /** For how many milliseconds the main loop has owed an answer; 0 if it owes none. */
  look(): number {
    const now = readClock();
    const pauseMs = now - this.#lookedAt;
    this.#lookedAt = now;
    if (!this.#isAsking) return 0;
    if (pauseMs >= STOPPED_MS) this.#askedAt += pauseMs;
    const answeredAt = Number(this.beat.at) / NANOSECONDS_PER_MS;
    if (answeredAt < this.#askedAt) return now - this.#askedAt;
    this.#isAsking = false;
    this.answeredAfterMs = answeredAt - this.#askedAt;
    return 0;
  }

  /** Asks, if no question is open. */
  ask(): void {
    if (this.#isAsking) return;
    this.noteQuestion();
    this.ping();
  }

  /** A message that is about to be posted is a question too. */
  noteQuestion(): void {
    if (this.#isAsking) return;
    this.#isAsking = true;
    this.#askedAt = readClock();
  }
}

/** Milliseconds by the clock of the beat. */
function readClock(): number {
  return Number(process.hrtime.bigint()) / NANOSECONDS_PER_MS;
}
