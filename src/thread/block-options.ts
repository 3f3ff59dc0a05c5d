import { ConfigurationError } from '../errors.js';
import { checkMilliseconds, checkOneOf, show } from '../validation.js';
import type { BlockLimits } from './messages.js';

/** Whether, and for how long, the probes are answered while the event loop is blocked. */
export interface BlockOptions {
  /**
   * `true`: a worker thread answers the probes, also while the event loop of the application is blocked, and the log says what blocks it.
   * While the loop turns, the answers are the same. It costs some 10 MB, and 0.1 s of processor time at its start.
   * `details` and `render` are functions of the application: while it is blocked, reasons are withheld if `details` is a function, and the default body is answered in place of `render`.
   * @default false
   */
  thread?: boolean | undefined;
  /**
   * With `thread`: readiness fails once the event loop has been blocked for this time, in milliseconds, and liveness warns. Until then the last report is answered. 100 to 3,600,000.
   * @default 1000
   */
  notReadyAfterMs?: number | undefined;
  /**
   * With `thread`: liveness fails once the event loop has been blocked for this time, in milliseconds. Longer than `notReadyAfterMs`, and 3,600,000 at most.
   * @default 30000
   */
  deadAfterMs?: number | undefined;
}

export const BLOCK_OPTION_NAMES = ['thread', 'notReadyAfterMs', 'deadAfterMs'] as const;

const DEFAULTS: BlockLimits = Object.freeze({ notReadyAfterMs: 1_000, deadAfterMs: 30_000 });

/** A pause for garbage collection is no block. */
const SHORTEST_MS = 100;

/** Undefined without a thread. */
export function resolveBlockLimits(caller: string, options: BlockOptions): BlockLimits | undefined {
  const { thread = false, notReadyAfterMs, deadAfterMs } = options;
  checkOneOf(caller, 'thread', thread, [true, false]);
  if (!thread) {
    const needless = (['notReadyAfterMs', 'deadAfterMs'] as const).find((name) => options[name] !== undefined);
    if (needless === undefined) return undefined;
    throw new ConfigurationError(
      `\`${needless}\` of ${caller} needs a thread that answers while the event loop is blocked. Add \`thread: true\`.`,
    );
  }
  const limits = { notReadyAfterMs: notReadyAfterMs ?? DEFAULTS.notReadyAfterMs, deadAfterMs: deadAfterMs ?? DEFAULTS.deadAfterMs };
  checkMilliseconds(caller, 'notReadyAfterMs', limits.notReadyAfterMs);
  checkMilliseconds(caller, 'deadAfterMs', limits.deadAfterMs);
  if (limits.notReadyAfterMs < SHORTEST_MS) {
    throw new ConfigurationError(
      `Expected \`notReadyAfterMs\` of ${caller} to be ${String(SHORTEST_MS)} ms or more, got ${show(limits.notReadyAfterMs)}.`,
    );
  }
  if (limits.deadAfterMs > limits.notReadyAfterMs) return limits;
  throw new ConfigurationError(
    `\`deadAfterMs\` of ${caller}, ${String(limits.deadAfterMs)}, is not longer than \`notReadyAfterMs\`, ${String(limits.notReadyAfterMs)}: the container would be restarted while it could still recover. Lengthen the one or shorten the other.`,
  );
}
