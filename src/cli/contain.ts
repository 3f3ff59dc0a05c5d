import { Worker } from 'node:worker_threads';
import { describeError } from '../errors.js';
import type { Outcome } from './command.cjs';
import { toOneLine } from './summary.cjs';
import { endProcess, onExit, waitForCalls } from './threads.cjs';

/** How long after the timeout an event loop counts as blocked. Before that, it may only be waiting on a busy machine. */
const BLOCKED_AFTER_MS = 500;

/** Runs in a separate thread, because only another thread can end a process with a blocked event loop. It uses a signal, because a thread cannot set the exit code of the process. */
const WATCHDOG = `
const { workerData } = require('node:worker_threads');
setTimeout(() => {
  if (workerData.text !== '') require('node:fs').writeSync(2, workerData.text);
  process.kill(process.pid, 'SIGKILL');
}, workerData.delayMs);
`;

/** The readers of the output. */
interface Audience {
  /** Whether nothing is printed. */
  readonly isQuiet: boolean;
  /** Whether a developer reads the output, so that it contains the reason why the application failed. Otherwise the output becomes an event that many people can read. */
  readonly tellsReasons: boolean;
}

/**
 * Protects the command from the application that it imports. The command ends in time even if the application leaves something open or blocks the event loop,
 * with its own exit code, and with nothing but its own output. The returned function ends the command. Only its first call has an effect.
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
    // A pass counts only if the process can end in time.
    if (outcome.code === 0) waitForCalls(Infinity, () => endOnce(outcome));
    else endOnce(outcome);
  };
  const fail = (text: string) => endOnce({ code: 1, text: `koa-probes: ${text}` });
  const limit = `${String(timeoutMs / 1_000)} s`;
  // The timeout counts from the start of the process, as for the kubelet.
  const delayMs = Math.max(1, timeoutMs - process.uptime() * 1_000);

  silence(process.stdout);
  silence(process.stderr);
  process.on('exit', () =>
    fail('the application has ended the process. Export the probes from a module that does not start the application.'),
  );
  onExit(() => {
    // The application has called process.exit() and removed the listener above.
    if (!isOver) endProcess(1, timeoutMs);
    isOver = true;
    // The end of the process waits for a call in flight. No code after `process.exit()` may run until then.
    throw new Error('The process is ending.');
  });
  process.on('uncaughtException', (error) => {
    const reason = tellsReasons
      ? `${toOneLine(describeError(error))}. Export the probes from a module that does not start the application.`
      : 'reason withheld.';
    fail(`the application has thrown an error outside its probes: ${reason}`);
  });
  // End regularly, so that the application removes its sockets and heartbeats at exit.
  process.once('SIGTERM', () => fail('ended by SIGTERM.'));
  setTimeout(
    () => fail(`the application has not finished within ${limit}: its import, its probes, a lookup or a file call does not end.`),
    delayMs,
  );
  const text = isQuiet ? '' : `koa-probes: the application has blocked the event loop for longer than ${limit}.\n`;
  new Worker(WATCHDOG, { eval: true, env: {}, execArgv: [], workerData: { delayMs: delayMs + BLOCKED_AFTER_MS, text } }).unref();
  return end;
}

/** Discards what is written to a stream. Text that is written directly to the file descriptor still appears. */
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
