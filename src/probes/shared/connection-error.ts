import { describeError } from '../../errors.js';

/** Describes a failed connection, followed by the message of Node: `tcp mail:25: connection refused: connect ECONNREFUSED 10.0.0.7:25`. */
export function connectionError(subject: string, error: unknown): Error {
  return errorBecauseOf(`${subject}: ${MEANINGS[codeOf(error)] ?? 'connection failed'}`, error);
}

/** Creates an error. Its message includes the reason, if there is one. */
export function errorBecauseOf(message: string, reason: unknown): Error {
  return new Error(reason === undefined ? message : `${message}: ${describeError(reason)}`);
}

/** Returns the code of an error of Node, or an empty string. */
export function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : '';
}

const MEANINGS: Readonly<Record<string, string>> = {
  EACCES: 'no permission to open the socket',
  EAI_AGAIN: 'temporary failure in name resolution',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'no route to network',
  ENOENT: 'the socket does not exist',
  ENOTFOUND: 'host name not found',
  EPIPE: 'connection reset',
  ETIMEDOUT: 'no answer from the address',
};
