import { Worker } from 'node:worker_threads';
import type { Outcome } from './command.cjs';

/** How long after the timeout an event loop counts as blocked, and not as one that waits for its turn on a busy machine. */
const BLOCKED_AFTER_MS = 500;

/** In a thread of its own, the only place from which a blocked event loop can be ended. A thread cannot choose the exit code of the process: it is that of the signal. */
const WATCHDOG = `
const { workerData } = require('node:worker_threads');
setTimeout(() => {
  if (workerData.text !== '') require('node:fs').writeSync(2, workerData.text);
  process.kill(process.pid, 'SIGKILL');
}, workerData.delayMs);
`;

/**
 * Keeps what an application that is imported does to its process away from the command: it ends in time whatever is left open or blocks, with its own exit code,
 * and its own output alone. Returns what ends the command; the first call counts.
 */
export function contain(timeoutMs: number, isQuiet: boolean, finish: (outcome: Outcome) => void): (outcome: Outcome) => void {
  let isOver = false;
  const end = (outcome: Outcome) => {
    if (isOver) return;
    isOver = true;
    process.on('exit', () => (process.exitCode = outcome.code));
    try {
      finish(outcome);
    } catch {
      // A listener of the application has thrown.
      process.removeAllListeners('exit');
      process.exit(outcome.code);
    }
  };
  const fail = (text: string) => end({ code: 1, text: `koa-probes: ${text}` });
  const limit = `${String(timeoutMs / 1_000)} s`;
  // From the start of the process: so does the kubelet count.
  const delayMs = Math.max(1, timeoutMs - process.uptime() * 1_000);

  silence(process.stdout);
  silence(process.stderr);
  process.on('exit', () => fail('the application has ended the process. Export the probes from a module that starts nothing.'));
  process.on('uncaughtException', () => fail('the application has thrown an error outside of its probes: reason withheld.'));
  setTimeout(() => fail(`the application has not been imported and its probes have not answered within ${limit}.`), delayMs);
  const text = isQuiet ? '' : `koa-probes: the application has blocked the event loop for longer than ${limit}.\n`;
  new Worker(WATCHDOG, { eval: true, env: {}, execArgv: [], workerData: { delayMs: delayMs + BLOCKED_AFTER_MS, text } }).unref();
  return end;
}

/** What is written to the file descriptor itself still appears. */
function silence(stream: NodeJS.WriteStream): void {
  stream.write = (_chunk: unknown, encoding?: unknown, done?: unknown) => {
    const told = typeof encoding === 'function' ? encoding : done;
    if (typeof told === 'function') process.nextTick(told);
    return true;
  };
}
