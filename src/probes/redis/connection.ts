import { errorBecauseOf } from '../shared/connection-error.js';
import { untilAborted } from '../shared/until-aborted.js';
import { forgetError, lastErrorOf } from './client-errors.js';

/** A client's way to one server. */
export interface RedisConnection {
  /** Subject of a message: `redis 127.0.0.1:6379`. */
  readonly name: string;
  /** What emits its errors. */
  readonly client: object;
  readonly isClusterNode: boolean;
  /** The client itself asks for a replica. */
  readonly wantsReplica: boolean;
  /** Why nothing can be asked now: the client would put it into its offline queue. */
  readonly problem: string | undefined;
  /** The client has a connection and holds it back until the server has loaded. */
  readonly isStarting?: boolean;
  /** Lends what all commands of one check are sent on. */
  readonly borrow: <T>(use: (session: RedisSession) => Promise<T>) => Promise<T>;
}

/** What commands are under way on. Those of a session before are lost or sent again by the client, and not waited for. */
export interface RedisSession {
  readonly key: object;
  readonly send: (command: readonly string[]) => Promise<unknown>;
}

/** Resolves when the server has answered, and is what it is needed for. */
export async function askConnection(
  connection: RedisConnection,
  signal: AbortSignal,
  allowReadOnly = connection.wantsReplica,
): Promise<void> {
  const { name, client, problem } = connection;
  if (problem !== undefined) {
    const isLoading =
      connection.isStarting === true && (await untilAborted(askWhetherLoading(connection), signal, `${name}: no answer to INFO`));
    throw isLoading ? new Error(`${name}: ${LOADING}`) : errorBecauseOf(`${name}: ${problem}`, lastErrorOf(client));
  }
  const commands = [['PING'], ...stateCommands(connection.isClusterNode, allowReadOnly)];
  const asked = askTogether(connection, commands).catch((error: unknown) => {
    throw explain(connection, error);
  });
  const names = commands.map((command) => command.join(' ')).join(' and ');
  const [, state] = await untilAborted(asked, signal, `${name}: no answer to ${names}`);
  forgetError(client);
  if (/^cluster_state:fail/m.test(String(state))) throw new Error(`${name}: the cluster is down, cluster_state is fail`);
  if (Array.isArray(state) && String(state[0]) !== 'master') throw new Error(`${name}: ${describeReplica(state)}`);
}

/** A node that has ceased to be a master is no fault of a cluster: the client follows by itself with its next command. */
function stateCommands(isClusterNode: boolean, allowReadOnly: boolean): readonly (readonly string[])[] {
  if (isClusterNode) return [['CLUSTER', 'INFO']];
  return allowReadOnly ? [] : [['ROLE']];
}

const LOADING = 'the server is loading its dataset into memory';

async function askWhetherLoading(connection: RedisConnection): Promise<boolean> {
  const [info] = await askTogether(connection, [['INFO', 'persistence']]).catch(() => []);
  return /^loading:1/m.test(String(info));
}

function askTogether({ borrow }: RedisConnection, commands: readonly (readonly string[])[]): Promise<unknown[]> {
  return borrow((session) => Promise.all(commands.map((command) => ask(session, command))));
}

/** By session, what is asked and not yet answered. A frozen server would otherwise gather commands in the client, one set a check. */
const underWay = new WeakMap<object, Map<string, Promise<unknown>>>();

function ask({ key, send }: RedisSession, command: readonly string[]): Promise<unknown> {
  const asked = underWay.get(key) ?? new Map<string, Promise<unknown>>();
  underWay.set(key, asked);
  const line = command.join(' ');
  const answer = asked.get(line) ?? send(command).finally(() => asked.delete(line));
  asked.set(line, answer);
  return answer;
}

const MEANINGS: Readonly<Record<string, string>> = {
  LOADING,
  BUSY: 'the server is busy with a script',
  MASTERDOWN: 'the replica has lost its master and answers nothing',
  MISCONF: 'the server takes no writes, as it cannot save them',
  NOAUTH: 'the server asks for a password, and the client has given none',
  NOPERM: 'the user may not run what the check asks. Allow +ping, +role, and +cluster|info in a cluster',
  WRONGPASS: 'the server rejects the password',
};

/** An error reply begins with a word in capitals; all else is of the client. */
function explain({ name, client }: RedisConnection, error: unknown): Error {
  const code = error instanceof Error ? /^[A-Z]{3,}(?= )/.exec(error.message)?.[0] : undefined;
  if (code === undefined) return errorBecauseOf(`${name}: the client could not ask`, lastErrorOf(client) ?? error);
  return errorBecauseOf(`${name}: ${MEANINGS[code] ?? 'the server rejects the check'}`, error);
}

/** Reads the answer of a replica to `ROLE`. */
function describeReplica([role, host, port]: readonly unknown[]): string {
  const what = String(role) === 'slave' ? `a read-only replica of ${String(host)}:${String(port)}` : `a ${String(role)}`;
  return `the server is ${what}, and a master is needed. Connect the client to the master, or allow it with \`allowReadOnly: true\``;
}
