import { Worker } from 'node:worker_threads';
import { describeError } from '../errors.js';
import type { Outcome } from './command.cjs';
import { toOneLine } from './summary.cjs';
import { endProcess, onExit, waitForCalls } from './threads.cjs';

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

/** Who reads what the command says. */
interface Audience {
  /** Nobody. */
  readonly isQuiet: boolean;
  /** A developer: why the application failed is told. Otherwise it becomes an event, which many can read. */
  readonly tellsReasons: boolean;
}

/**
 * Keeps what an application that is imported does to its process away from the command: it ends in time whatever is left open or blocks, with its own exit code,
 * and its own output alone. Returns what ends the command; the first call counts.
 */
export function contain(
  timeoutMs: number,
  { isQuiet, tellsReasons }: Audience,
  finish: (outcome: Outcome) => void,
): (outcome: Outcome) => void {
  let isOver = false;
  const endOnce = (outcome: Outcome) => {
    if (isOver) return;
    isOver = true;
    finish(isQuiet ? { ...outcome, text: '' } : outcome);
  };
  const end = (outcome: Outcome) => {
    // It is no pass in time before the process can end.
    if (outcome.code === 0) waitForCalls(Infinity, () => endOnce(outcome));
    else endOnce(outcome);
  };
  const fail = (text: string) => endOnce({ code: 1, text: `koa-probes: ${text}` });
  const limit = `${String(timeoutMs / 1_000)} s`;
  // From the start of the process: so does the kubelet count.
  const delayMs = Math.max(1, timeoutMs - process.uptime() * 1_000);

  silence(process.stdout);
  silence(process.stderr);
  process.on('exit', () => fail('the application has ended the process. Export the probes from a module that starts nothing.'));
  onExit(() => {
    // The application has called process.exit() and removed the listener above.
    if (!isOver) endProcess(1, timeoutMs);
    isOver = true;
    // The end of the process waits for a call in flight. Nothing behind `process.exit()` may run until then.
    throw new Error('The process is ending.');
  });
  process.on('uncaughtException', (error) => {
    const reason = tellsReasons
      ? `${toOneLine(describeError(error))}. Export the probes from a module that starts nothing.`
      : 'reason withheld.';
    fail(`the application has thrown an error outside of its probes: ${reason}`);
  });
  // With what the application does at its exit: its sockets and heartbeats are removed.
  process.once('SIGTERM', () => fail('ended by SIGTERM.'));
  setTimeout(
    () =>
      fail(`the application was not through within ${limit}: its import, its probes, a lookup or a call to the file system does not end.`),
    delayMs,
  );
  const text = isQuiet ? '' : `koa-probes: the application has blocked the event loop for longer than ${limit}.\n`;
  new Worker(WATCHDOG, { eval: true, env: {}, execArgv: [], workerData: { delayMs: delayMs + BLOCKED_AFTER_MS, text } }).unref();
  return end;
}

/** What is written to the file descriptor itself still appears. */
function silence(stream: NodeJS.WriteStream): void {
  stream.write = (...given: unknown[]) => {
    tellDone(given);
    return true;
  };
  stream.end = (...given: unknown[]) => {
    tellDone(given);
    return stream;
  };
}

function tellDone(given: readonly unknown[]): void {
  const done = given.find((one) => typeof one === 'function');
  if (done !== undefined) process.nextTick(done);
}
