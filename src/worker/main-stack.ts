import type { SessionFlag } from '../thread/session-flag.js';

/** More than a reader needs, and no deep recursion. */
const MOST_FRAMES = 50;

/** Those of the expression itself. */
export const OWN_FRAMES = 2;

/** Runs in the main thread, between two instructions of whatever blocks it, and leaves nothing changed. Hooks of the application are not called, and source maps that Node has loaded are heeded. */
const EXPRESSION = `(() => {
  const { stackTraceLimit, prepareStackTrace } = Error;
  try {
    Error.stackTraceLimit = ${String(MOST_FRAMES)};
    Error.prepareStackTrace = undefined;
    return new Error().stack;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    Error.prepareStackTrace = prepareStackTrace;
  }
})()`;

/**
 * The stack of the main thread, as soon as it can be interrupted: within a millisecond in JavaScript or a regular expression, and in a synchronous call to the system when that returns.
 * It is read and not paused: a pause could be left behind, and would be seen by a debugger and by every agent that uses the inspector.
 */
export async function takeMainStack(flag: SessionFlag): Promise<string> {
  const { Session } = await import('node:inspector');
  const session = new Session();
  flag.open();
  try {
    session.connectToMainThread();
    return await new Promise<string>((resolve, reject) => {
      session.post('Runtime.evaluate', { expression: EXPRESSION, returnByValue: true, silent: true }, (error, answer) => {
        const stack: unknown = answer?.result?.value;
        if (typeof stack === 'string') resolve(stack);
        else reject(error ?? new Error('the inspector gave no stack'));
      });
    });
  } finally {
    session.disconnect();
    flag.close();
  }
}
