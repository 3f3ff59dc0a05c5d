import { ConfigurationError } from '../../errors.js';
import { noteOutside } from '../../run/outside.js';
import type { ProbeContext } from '../../probe.js';
import type { ProbeData } from '../../report/report.js';
import { checkMilliseconds, rejectUnknownOptions, show, showType } from '../../validation.js';
import type { RedisConnection } from './connection.js';
import { watchErrors } from './client-errors.js';
import { connectIoredis, isIoredis, type IoredisClient, type IoredisCluster } from './ioredis.js';
import {
  connectNodeRedis,
  isNodeRedis,
  type NodeRedisClient,
  type NodeRedisCluster,
  type NodeRedisPool,
  type NodeRedisSentinel,
} from './node-redis.js';
import { NotMasterError } from './role.js';
import { checkServer, type Demands } from './server-state.js';
import { checkTargets } from '../shared/targets.js';
import { untilAborted } from '../shared/until-aborted.js';

/** A client of `ioredis` (`Redis`, also with sentinels, or `Cluster`) or of `redis` (from `createClient`, `createClientPool`, `createCluster` or `createSentinel`). */
export type RedisClient = IoredisClient | IoredisCluster | NodeRedisClient | NodeRedisPool | NodeRedisCluster | NodeRedisSentinel;

/** Options of `checkRedis()`. All are optional. */
export interface CheckRedisOptions {
  /**
   * Whether a server that accepts no writes passes: a replica, or a master that is out of memory.
   * @default false, but true for an ioredis client that itself asks for a replica (`role: 'slave'` or `readOnly`)
   */
  allowReadOnly?: boolean | undefined;
  /**
   * Most time since a replica last heard from its master, in milliseconds, 1 to 3,600,000. It applies to replicas that `allowReadOnly` accepts.
   * Redis reports this time in whole seconds. A master without writes sends a ping every 10 s by default (`repl-ping-replica-period`).
   * The user needs the permission `+info`. The servers of a cluster are not checked.
   * @default no limit
   */
  maxLagMs?: number | undefined;
  /**
   * A key that the client's user may write, without `{`. The check changes nothing, whether the key exists or not. In a cluster, the check uses keys that begin with this text and does not change them either.
   * ioredis puts its `keyPrefix` in front of the key.
   * @default 'koa-probes'
   */
  key?: string | undefined;
}

const OPTION_NAMES = ['allowReadOnly', 'maxLagMs', 'key'];

/**
 * Checks the server of a Redis client, every master of a cluster, or the current master behind sentinels. It resolves if each of these servers
 *
 * - answers `PING`,
 * - is a master according to `ROLE` or `HELLO`, or, in a cluster, serves all slots according to `CLUSTER INFO`,
 * - accepts a write: `SETRANGE` with an empty text, which changes nothing.
 *
 * Otherwise it rejects with an error that names the server: the server is loading, read-only or out of memory, has too few replicas or requires a password, the cluster does not serve all slots, or the client is disconnected.
 * If the signal is aborted first, the error names the commands without an answer. A command that the user may not run does not fail a healthy server: the data that the promise resolves to says what could not be checked.
 *
 * The check uses the connection of the client. It adds nothing to the offline queue of the client, so it fails at once if the client is disconnected.
 * If a master is needed and the connection leads to a replica, the master may have moved behind its host name. Then the check closes the connection, if the client reconnects by itself, and checks the new one.
 * If a server hangs, at most one command of each kind is in flight, no matter how often it is checked (for a pool of node-redis: on each client that a check has borrowed).
 * Apart from that, the client connects and disconnects as usual. It connects to a master of a cluster with its first command to that master.
 * A client that blocks (`BLPOP`), subscribes or monitors answers late or not at all. Bind another client.
 *
 * @throws the reason of the signal if it is aborted before the call; ConfigurationError if the client is not a client of ioredis or redis, or an option is unknown or out of range
 */
export async function checkRedis(
  client: RedisClient,
  context: Pick<ProbeContext, 'signal'>,
  options: CheckRedisOptions = {},
): Promise<ProbeData | undefined> {
  noteOutside(context, 'Redis');
  const { signal } = context;
  const demands = resolveRedisOptions('checkRedis()', options);
  validateRedisClient(client);
  signal.throwIfAborted();
  watchErrors(client);
  const connections = await untilAborted(connect(client), signal, 'redis cluster: the client has not found the masters');
  const unchecked = new Set<string>();
  await checkTargets(connections, { signal }, async (connection, one) => {
    const missing = await checkConnection(connection, one.signal, demands);
    if (missing !== undefined) unchecked.add(missing);
  });
  return unchecked.size === 0 ? undefined : { notChecked: [...unchecked].join(', ') };
}

/** If the connection leads to a replica, it is closed and replaced once, and the new connection is checked. */
async function checkConnection(connection: RedisConnection, signal: AbortSignal, demands: Demands): Promise<string | undefined> {
  try {
    return await checkServer(connection, signal, demands);
  } catch (error) {
    const replaced = error instanceof NotMasterError && error.isReplica ? connection.replace?.(signal) : undefined;
    if (replaced === undefined) throw error;
    const { message } = error as NotMasterError;
    const next = await untilAborted(
      replaced,
      signal,
      `${message}. The client has closed this connection, and has not been connected again`,
    );
    return checkServer(next, signal, demands);
  }
}

function connect(client: RedisClient): Promise<readonly RedisConnection[]> {
  return isIoredis(client) ? connectIoredis(client) : connectNodeRedis(client);
}

/** @throws ConfigurationError if an option is unknown or out of range */
export function resolveRedisOptions(subject: string, options: CheckRedisOptions): Demands {
  rejectUnknownOptions(subject, options, OPTION_NAMES);
  const { allowReadOnly, maxLagMs, key = 'koa-probes' } = options;
  if (!['boolean', 'undefined'].includes(typeof allowReadOnly)) {
    throw new ConfigurationError(`Expected \`allowReadOnly\` of ${subject} to be a boolean, got ${show(allowReadOnly)}.`);
  }
  if (maxLagMs !== undefined) checkMilliseconds(subject, 'maxLagMs', maxLagMs);
  if (maxLagMs !== undefined && allowReadOnly === false) {
    throw new ConfigurationError(
      `\`maxLagMs\` of ${subject} is a limit for replicas, but \`allowReadOnly\` is false. Set \`allowReadOnly\` to true, or leave \`maxLagMs\` out.`,
    );
  }
  // In a cluster the hash tag of a slot is appended, and only the first pair of braces in a key counts.
  if (typeof key !== 'string' || key === '' || key.includes('{')) {
    throw new ConfigurationError(`Expected \`key\` of ${subject} to be a non-empty string without "{", got ${show(key)}.`);
  }
  return { allowReadOnly, maxLagMs, key };
}

export function validateRedisClient(client: RedisClient): void {
  const value: unknown = client;
  if (typeof value === 'object' && value !== null && (isIoredis(client) || isNodeRedis(client))) return;
  throw new ConfigurationError(
    `Expected a client of ioredis or redis, got ${showType(value)}. Bind the result of \`new Redis()\` or \`createClient()\`.`,
  );
}
