import { performance } from 'node:perf_hooks';

/** Signals within this time count as one signal, because a terminal, a process group and a wrapping program can each send one. */
const SAME_SIGNAL_MS = 1_000;

/** The effect of a repeated signal. `'continue'` lets the shutdown continue until its deadline. `'exit'` ends the process at once with code 1. */
export type RepeatedSignalAction = 'continue' | 'exit';

/** A sender that repeats SIGTERM, for example a node shutdown, can also send SIGKILL. A person who presses Ctrl-C again does not want to wait. */
export function decideByDefault(signal: NodeJS.Signals): RepeatedSignalAction {
  return signal === 'SIGINT' ? 'exit' : 'continue';
}

/** Tells the signals of one shutdown apart by their times. A shutdown that began in code has received no signal. */
export class HeardSignals {
  #firstAt: number | undefined;

  hear(): 'first' | 'same' | 'repeated' {
    const now = performance.now();
    const isFirst = this.#firstAt === undefined;
    this.#firstAt ??= now;
    if (isFirst) return 'first';
    return now - this.#firstAt < SAME_SIGNAL_MS ? 'same' : 'repeated';
  }
}
