import { Degraded, describeError, isError, NotReady, ProbeTimeoutError, toOneLine } from '../errors.js';

/** The reason why a probe failed. It is read once from the thrown value, so that no later code touches that value. */
export interface ProbeFailure {
  /** The reason for the public: the message of a `NotReady` or `Degraded`, or the timeout. For all other errors it is `reason withheld`. */
  readonly reason: string;
  /** The reason for the operator: the error and its causes in one line. */
  readonly detail: string;
  /** HTTP status of the response if this is the only failure, 400 to 599. */
  readonly statusCode: number;
}

export const WITHHELD = 'reason withheld';
const LONGEST_REASON = 1_000;

/** Reads a thrown value. It never throws: a value that cannot be read is a failure like any other. */
export function readFailure(error: unknown): ProbeFailure {
  const detail = describeError(error);
  try {
    return { detail, reason: readReason(error), statusCode: readStatusCode(error) };
  } catch {
    return { detail, reason: WITHHELD, statusCode: 503 };
  }
}

/** Reads only the message, because a cause is not meant for the public. */
function readReason(error: unknown): string {
  if (!isError(error) || !(NotReady.is(error) || Degraded.is(error) || ProbeTimeoutError.is(error))) return WITHHELD;
  const message: unknown = error.message;
  return (typeof message === 'string' && toOneLine(message.slice(0, LONGEST_REASON))) || WITHHELD;
}

/** Ignores an invalid status, because a subclass or a later assignment must not turn a failure into a success. */
function readStatusCode(error: unknown): number {
  const status: unknown = NotReady.is(error) ? error.status : 503;
  return typeof status === 'number' && Number.isInteger(status) && status >= 400 && status <= 599 ? status : 503;
}
