import { Degraded, describeError, isError, NotReady, ProbeTimeoutError, toOneLine } from '../errors.js';

/** Why a probe failed, read once from whatever was thrown: nothing later touches a foreign object. */
export interface ProbeFailure {
  /** What the public may read: what a check chose to say, or that it timed out. `reason withheld` for everything else. */
  readonly reason: string;
  /** What the operator reads: the error and its causes, in one line. */
  readonly detail: string;
  /** HTTP status of the answer if this is the only failure, 400 to 599. */
  readonly statusCode: number;
}

export const WITHHELD = 'reason withheld';
const LONGEST_REASON = 1_000;

/** Never throws: what cannot be read is a failure like any other. */
export function readFailure(error: unknown): ProbeFailure {
  const detail = describeError(error);
  try {
    return { detail, reason: readReason(error), statusCode: readStatusCode(error) };
  } catch {
    return { detail, reason: WITHHELD, statusCode: 503 };
  }
}

/** The message alone: a cause was not chosen for the public. */
function readReason(error: unknown): string {
  if (!isError(error) || !(NotReady.is(error) || Degraded.is(error) || ProbeTimeoutError.is(error))) return WITHHELD;
  const message: unknown = error.message;
  return (typeof message === 'string' && toOneLine(message.slice(0, LONGEST_REASON))) || WITHHELD;
}

/** A subclass or a careless assignment must not turn a failure into a success. */
function readStatusCode(error: unknown): number {
  const status: unknown = NotReady.is(error) ? error.status : 503;
  return typeof status === 'number' && Number.isInteger(status) && status >= 400 && status <= 599 ? status : 503;
}
