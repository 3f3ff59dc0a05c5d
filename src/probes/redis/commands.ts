import { errorBecauseOf } from '../shared/connection-error.js';
import { untilAborted } from '../shared/until-aborted.js';
import { lastErrorOf } from './client-errors.js';
import type { RedisConnection, RedisSession } from './connection.js';

type Command = readonly string[];

/** The answer for a command that the user may not run or the server does not know. It says nothing about the health of the server. */
export class Refusal {
  constructor(readonly error: Error) {}
}

/** Sends the commands together and resolves to their answers or refusals in the same order. It rejects if the server returns an error about its state, or if there is no answer. */
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

/** Names of commands whose arguments are left out of messages. */
const NAMES: Readonly<Record<string, string>> = { SETRANGE: 'SETRANGE' };

/** Commands in flight, by session. Without this, commands to a server that hangs would pile up in the client, one set for each check. */
const underWay = new WeakMap<object, Map<string, Promise<unknown>>>();

function askOnce({ key, send }: RedisSession, command: Command): Promise<unknown> {
  const asked = underWay.get(key) ?? new Map<string, Promise<unknown>>();
  underWay.set(key, asked);
  const line = command.join(' ');
  const answer = asked.get(line) ?? send(command).finally(() => asked.delete(line));
  asked.set(line, answer);
  return answer;
}

/** Returns the upper-case code at the start of an error reply. An error of the client has none. */
function replyCodeOf(error: unknown): string | undefined {
  return error instanceof Error ? /^[A-Z]{3,}(?= )/.exec(error.message)?.[0] : undefined;
}

/** Phrases of Redis and of Redis proxies. */
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
  MASTERDOWN: 'the replica has lost its master and rejects commands',
  MISCONF: 'the server rejects writes because it cannot save them',
  NOAUTH: 'the server requires a password, but the client has sent none',
  NOREPLICAS: 'the server rejects writes because it has too few replicas (min-replicas-to-write)',
  OOM: 'the server rejects writes because its memory is full (maxmemory) and it can evict nothing',
  WRONGPASS: 'the server rejects the password',
};

function explain({ name, client }: RedisConnection, error: unknown): Error {
  const code = replyCodeOf(error);
  if (code === undefined) return errorBecauseOf(`${name}: the client could not send the commands`, lastErrorOf(client) ?? error);
  return new ReplyError(`${name}: ${MEANINGS[code] ?? 'the server returned an error'}`, code, error as Error);
}

/** An error reply of the server. The message has its meaning and the text of the server. */
export class ReplyError extends Error {
  constructor(
    meaning: string,
    readonly replyCode: string,
    { message }: Error,
  ) {
    super(`${meaning}: ${message}`);
  }
}
