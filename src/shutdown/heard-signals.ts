import { performance } from 'node:perf_hooks';

/** Two signals within this time are one: a terminal, a process group and the program around each send their own. */
const SAME_SIGNAL_MS = 1_000;

/** What a repeated signal does: `'continue'` lets the shutdown go on to its deadline, `'exit'` ends the process at once with 1. */
export type RepeatedSignalAction = 'continue' | 'exit';

/** Whoever sends SIGTERM again, like a node shutdown, can send SIGKILL too. Whoever presses Ctrl-C again does not want to wait. */
export function decideByDefault(signal: NodeJS.Signals): RepeatedSignalAction {
  return signal === 'SIGINT' ? 'exit' : 'continue';
}

/** The signals of one shutdown, told from each other by their times. A shutdown that was begun in code has heard none. */
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
