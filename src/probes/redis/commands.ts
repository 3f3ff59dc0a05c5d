import { errorBecauseOf } from '../shared/connection-error.js';
import { untilAborted } from '../shared/until-aborted.js';
import { lastErrorOf } from './client-errors.js';
import type { RedisConnection, RedisSession } from './connection.js';

type Command = readonly string[];

/** The server does not let the user run a command, or does not know it. That says nothing about its health. */
export class Refusal {
  constructor(readonly error: Error) {}
}

/** Sends the commands together, and resolves to their answers or refusals in the same order. Rejects with what the server says of itself, or when there is no answer. */
export function askTogether(connection: RedisConnection, signal: AbortSignal, commands: readonly Command[]): Promise<readonly unknown[]> {
  const { name } = connection;
  const answers = connection
    .borrow((session) => Promise.all(commands.map((command) => askOnce(session, command).catch(throwUnlessRefused))))
    .catch((error: unknown) => {
      throw explain(connection, error);
    });
  const asked = commands.map((command) => NAMES[command[0] ?? ''] ?? command.join(' ')).join(' and ');
  return untilAborted(answers, signal, `${name}: no answer to ${asked}`);
}

/** Of those whose arguments say nothing to the reader. */
const NAMES: Readonly<Record<string, string>> = { SETRANGE: 'SETRANGE' };

/** By session, what is asked and not yet answered. A frozen server would otherwise gather commands in the client, one set a check. */
const underWay = new WeakMap<object, Map<string, Promise<unknown>>>();

function askOnce({ key, send }: RedisSession, command: Command): Promise<unknown> {
  const asked = underWay.get(key) ?? new Map<string, Promise<unknown>>();
  underWay.set(key, asked);
  const line = command.join(' ');
  const answer = asked.get(line) ?? send(command).finally(() => asked.delete(line));
  asked.set(line, answer);
  return answer;
}

/** The word in capitals with which an error reply begins. An error of the client has none. */
function replyCodeOf(error: unknown): string | undefined {
  return error instanceof Error ? /^[A-Z]{3,}(?= )/.exec(error.message)?.[0] : undefined;
}

/** In the words of Redis and of proxies before it. */
const UNKNOWN_COMMAND = /\b(?:unknown|unsupported|not supported|not allowed|disabled)\b/i;

function throwUnlessRefused(error: unknown): Refusal {
  const code = replyCodeOf(error) ?? 'ERR';
  if (error instanceof Error && (code === 'NOPERM' || (code === 'ERR' && UNKNOWN_COMMAND.test(error.message)))) return new Refusal(error);
  throw error;
}

export const LOADING = 'the server is loading its dataset into memory';

const MEANINGS: Readonly<Record<string, string>> = {
  LOADING,
  BUSY: 'the server is busy with a script',
  MASTERDOWN: 'the replica has lost its master and answers nothing',
  MISCONF: 'the server takes no writes, as it cannot save them',
  NOAUTH: 'the server asks for a password, and the client has given none',
  NOREPLICAS: 'the server takes no writes, as it has too few replicas (min-replicas-to-write)',
  OOM: 'the server takes no writes, as its memory is used up (maxmemory) and it can evict nothing',
  WRONGPASS: 'the server rejects the password',
};

function explain({ name, client }: RedisConnection, error: unknown): Error {
  const code = replyCodeOf(error);
  if (code === undefined) return errorBecauseOf(`${name}: the client could not ask`, lastErrorOf(client) ?? error);
  return new ReplyError(`${name}: ${MEANINGS[code] ?? 'the server rejects the check'}`, code, error as Error);
}

/** An error reply of the server, with its meaning and the server's own words. */
export class ReplyError extends Error {
  constructor(
    meaning: string,
    readonly replyCode: string,
    { message }: Error,
  ) {
    super(`${meaning}: ${message}`);
  }
}
