import { errorBecauseOf } from '../shared/connection-error.js';
import { forgetError, lastErrorOf } from './client-errors.js';
import { askTogether, LOADING, Refusal, ReplyError } from './commands.js';
import type { RedisConnection } from './connection.js';
import { checkLag } from './replica-lag.js';
import { NotMasterError, readHello, readRole, type Role } from './role.js';

/** The requirements of the application for a server. */
export interface Demands {
  readonly allowReadOnly: boolean | undefined;
  readonly maxLagMs: number | undefined;
  readonly key: string;
}

/** Resolves if the server has answered and meets the requirements. The result names what could not be checked, if anything. */
export async function checkServer(connection: RedisConnection, signal: AbortSignal, demands: Demands): Promise<string | undefined> {
  await requireConnection(connection, signal);
  const { allowReadOnly = connection.wantsReplica, maxLagMs, key } = demands;
  const unchecked = await checkState(connection, signal, allowReadOnly, key);
  if (allowReadOnly && maxLagMs !== undefined && !connection.isClusterNode) await checkLag(connection, signal, maxLagMs);
  forgetError(connection.client);
  return unchecked;
}

async function requireConnection(connection: RedisConnection, signal: AbortSignal): Promise<void> {
  const { name, client, problem, isStarting = false } = connection;
  if (problem === undefined) return;
  const isLoading = isStarting && (await askWhetherLoading(connection, signal));
  throw isLoading ? new Error(`${name}: ${LOADING}`) : errorBecauseOf(`${name}: ${problem}`, lastErrorOf(client));
}

async function askWhetherLoading(connection: RedisConnection, signal: AbortSignal): Promise<boolean> {
  const [info] = await askTogether(connection, signal, [['INFO', 'persistence']]).catch((error: unknown) => {
    if (signal.aborted) throw error;
    return [];
  });
  return /^loading:1/m.test(String(info));
}

async function checkState(
  connection: RedisConnection,
  signal: AbortSignal,
  allowReadOnly: boolean,
  key: string,
): Promise<string | undefined> {
  const { name, isClusterNode } = connection;
  const [pong, state] = await askState(connection, signal, allowReadOnly);
  if (/^cluster_state:fail/m.test(String(state))) throw new Error(`${name}: the cluster is down, cluster_state is fail`);
  if (allowReadOnly) {
    requireAnswer(name, pong);
    return state instanceof Refusal ? 'the state of the cluster' : undefined;
  }
  // In a cluster it is no fault if a node is not a master any longer: the client finds the new master with its next command.
  const role = isClusterNode ? undefined : await findRole(connection, signal, state);
  if (role !== undefined && role.name !== 'master') throw new NotMasterError(name, role);
  const isProven = await tryToWrite(connection, signal, key);
  if (isProven) return undefined;
  requireAnswer(name, pong);
  const isKnown = isClusterNode ? !(state instanceof Refusal) : role !== undefined;
  if (isKnown) return 'writes';
  throw new Error(
    `${name}: the user may run no command that shows whether the server is a master or accepts writes. Allow the user ${isClusterNode ? '+cluster|info' : '+role'} or +setrange ~${key}*, or set \`allowReadOnly: true\` if no writes are needed`,
  );
}

function askState(connection: RedisConnection, signal: AbortSignal, allowReadOnly: boolean): Promise<readonly unknown[]> {
  const stateCommands = connection.isClusterNode ? [['CLUSTER', 'INFO']] : allowReadOnly ? [] : [['ROLE']];
  return askTogether(connection, signal, [['PING'], ...stateCommands]);
}

/** A server that rejects `PING` may still be loading, so a rejected `PING` is not a pass. */
function requireAnswer(name: string, pong: unknown): void {
  if (pong instanceof Refusal) throw errorBecauseOf(`${name}: the user may not run PING. Allow +ping`, pong.error);
}

/** `HELLO` is the second choice: every user may run it, and some proxies know it but not `ROLE`. */
async function findRole(connection: RedisConnection, signal: AbortSignal, answer: unknown): Promise<Role | undefined> {
  if (!(answer instanceof Refusal)) return readRole(answer);
  const [hello] = await askTogether(connection, signal, [['HELLO']]);
  return hello instanceof Refusal ? undefined : readHello(hello);
}

/** The slot of the key has moved to another node. The client finds it with its next command. */
const MOVED: ReadonlySet<string> = new Set(['MOVED', 'ASK', 'TRYAGAIN']);

/**
 * Returns whether the server has accepted a write. Writing an empty text into a key changes nothing, whether the key exists or not: nothing is stored, replicated,
 * counted as a change or published to watchers. But it is a write command that needs memory, so the server rejects it for the same reasons as the writes of the application.
 * Resolves to false if it could not be tried.
 */
async function tryToWrite(connection: RedisConnection, signal: AbortSignal, key: string): Promise<boolean> {
  const { name, isClusterNode, hashTag } = connection;
  if (isClusterNode && hashTag === undefined) return false;
  try {
    const fullKey = hashTag === undefined ? key : `${key}:{${hashTag}}`;
    const [answer] = await askTogether(connection, signal, [['SETRANGE', fullKey, '0', '']]);
    return !(answer instanceof Refusal);
  } catch (error) {
    const code = error instanceof ReplyError ? error.replyCode : '';
    // The key has another type than string. The server checks the type last, so it accepts writes.
    if (code === 'WRONGTYPE') return true;
    if (MOVED.has(code)) return false;
    if (code === 'READONLY') throw new NotMasterError(name, { name: 'slave' });
    throw error;
  }
}
