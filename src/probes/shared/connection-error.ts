import { describeError } from '../../errors.js';

/** What became of a connection, in words and in those of Node: `tcp mail:25: the connection was refused: connect ECONNREFUSED 10.0.0.7:25`. */
export function connectionError(subject: string, error: unknown): Error {
  return errorBecauseOf(`${subject}: ${MEANINGS[codeOf(error)] ?? 'the connection failed'}`, error);
}

/** An error whose message says why, where that is known. */
export function errorBecauseOf(message: string, reason: unknown): Error {
  return new Error(reason === undefined ? message : `${message}: ${describeError(reason)}`);
}

/** The code of an error of Node, or nothing. */
export function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : '';
}

const MEANINGS: Readonly<Record<string, string>> = {
  EACCES: 'the socket may not be opened',
  EAI_AGAIN: 'the name cannot be resolved at the moment',
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was reset',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'there is no route to the network',
  ENOENT: 'there is no such socket',
  ENOTFOUND: 'the name cannot be resolved',
  EPIPE: 'the connection was reset',
  ETIMEDOUT: 'nothing answers at the address',
};
