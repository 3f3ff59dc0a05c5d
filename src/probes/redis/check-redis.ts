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

/** A client of `ioredis` (`Redis`, with sentinels too, or `Cluster`) or of `redis` (of `createClient`, `createClientPool`, `createCluster` or `createSentinel`). */
export type RedisClient = IoredisClient | IoredisCluster | NodeRedisClient | NodeRedisPool | NodeRedisCluster | NodeRedisSentinel;

export interface CheckRedisOptions {
  /**
   * Whether a server that takes no writes is a pass: a replica, or a master that is out of memory.
   * @default false; true where a client of ioredis itself asks for a replica (`role: 'slave'` or `readOnly`)
   */
  allowReadOnly?: boolean | undefined;
  /**
   * How long ago a replica that is allowed may have heard of its master, in milliseconds: 1 to 3,600,000. Redis tells it in whole seconds, and a master without
   * writes is heard every 10 s by default (`repl-ping-replica-period`). Needs the right `+info`. The servers of a cluster are not asked for it.
   * @default no limit
   */
  maxLagMs?: number | undefined;
  /**
   * A key that the client's user may write. Nothing is written to it, whether it exists or not; in a cluster, not to the keys that begin with it.
   * ioredis puts its `keyPrefix` before it.
   * @default 'koa-probes'
   */
  key?: string | undefined;
}

const OPTION_NAMES = ['allowReadOnly', 'maxLagMs', 'key'];

/**
 * Resolves when the server of the client, every master of a cluster, or the current master behind sentinels has answered `PING`, is a master by `ROLE` or `HELLO`
 * (in a cluster: serves all slots by `CLUSTER INFO`), and takes a write: `SETRANGE` with an empty text, which changes nothing. Rejects, naming the server, when one
 * does not: it is loading, read-only, out of memory, short of replicas or asks for a password, the cluster does not serve all slots, or the client has no connection.
 * Rejects when the signal is aborted first, saying what has had no answer. A command that the user may not run fails no healthy server: what could not be checked
 * is named in the data that it resolves to.
 *
 * The client's own connection is used, and nothing is put into its offline queue: without a connection the answer is a failure at once.
 * A connection that leads to a replica is given up, where a master is needed and the client connects again by itself, and the new one is asked: behind a name, the
 * master has moved. On a frozen server one command of each kind is under way at most, however often it is checked; of a pool of node-redis, on each of its clients
 * that are lent to a check. Otherwise the client connects and disconnects as it does without; to masters of a cluster with its first command to them.
 * A client that blocks (`BLPOP`), subscribes or monitors answers late or not at all: bind another one.
 *
 * @throws the signal's reason where that is aborted before the call; ConfigurationError where the client is none of ioredis or redis, or an option is unknown or out of its range.
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
  const connections = await untilAborted(connect(client), signal, 'redis cluster: the client has not found its masters');
  const unchecked = new Set<string>();
  await checkTargets(connections, { signal }, async (connection, one) => {
    const missing = await checkConnection(connection, one.signal, demands);
    if (missing !== undefined) unchecked.add(missing);
  });
  return unchecked.size === 0 ? undefined : { notChecked: [...unchecked].join(', ') };
}

/** A connection that leads to a replica is given up, once, and the one in its place is asked. */
async function checkConnection(connection: RedisConnection, signal: AbortSignal, demands: Demands): Promise<string | undefined> {
  try {
    return await checkServer(connection, signal, demands);
  } catch (error) {
    const replaced = error instanceof NotMasterError && error.isReplica ? connection.replace?.(signal) : undefined;
    if (replaced === undefined) throw error;
    const { message } = error as NotMasterError;
    const next = await untilAborted(replaced, signal, `${message}. The client has given up the connection, and has had no other`);
    return checkServer(next, signal, demands);
  }
}

function connect(client: RedisClient): Promise<readonly RedisConnection[]> {
  return isIoredis(client) ? connectIoredis(client) : connectNodeRedis(client);
}

/** @throws ConfigurationError if an option is unknown or out of its range. */
export function resolveRedisOptions(subject: string, options: CheckRedisOptions): Demands {
  rejectUnknownOptions(subject, options, OPTION_NAMES);
  const { allowReadOnly, maxLagMs, key = 'koa-probes' } = options;
  if (!['boolean', 'undefined'].includes(typeof allowReadOnly)) {
    throw new ConfigurationError(`Expected \`allowReadOnly\` of ${subject} to be a boolean, got ${show(allowReadOnly)}.`);
  }
  if (maxLagMs !== undefined) checkMilliseconds(subject, 'maxLagMs', maxLagMs);
  if (maxLagMs !== undefined && allowReadOnly === false) {
    throw new ConfigurationError(
      `\`maxLagMs\` of ${subject} is a limit for replicas, but \`allowReadOnly\` is false. Set it to true, or leave \`maxLagMs\` out.`,
    );
  }
  // The tag of a slot is added in a cluster, and the first pair of braces counts.
  if (typeof key !== 'string' || key === '' || key.includes('{')) {
    throw new ConfigurationError(`Expected \`key\` of ${subject} to be a string without "{", got ${show(key)}.`);
  }
  return { allowReadOnly, maxLagMs, key };
}

export function validateRedisClient(client: RedisClient): void {
  const value: unknown = client;
  if (typeof value === 'object' && value !== null && (isIoredis(client) || isNodeRedis(client))) return;
  throw new ConfigurationError(
    `Expected a client of ioredis or redis, got ${showType(value)}. Bind what \`new Redis()\` or \`createClient()\` gives.`,
  );
}
