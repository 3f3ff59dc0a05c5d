import { errorBecauseOf } from '../shared/connection-error.js';
import { lastErrorOf, watchErrors, type ErrorEmitter } from './client-errors.js';
import { findHashTag } from './cluster-slot.js';
import type { RedisConnection, RedisSession } from './connection.js';
import { replaceConnection } from './reconnection.js';

/** The part of a client from `createClient()` of `redis` that a check needs. */
export interface NodeRedisClient extends ErrorEmitter {
  readonly isOpen: boolean;
  readonly isReady: boolean;
  readonly options?: object | undefined;
  sendCommand(command: string[]): Promise<unknown>;
}

/** The part of a pool from `createClientPool()` that a check needs. */
export interface NodeRedisPool extends ErrorEmitter {
  readonly isOpen: boolean;
  readonly tasksQueueLength: number;
  readonly idleClients: number;
  execute<T>(task: (client: NodeRedisClient) => Promise<T>): Promise<T>;
}

/** A master of a cluster. */
interface NodeRedisMaster {
  readonly address: string;
  readonly client?: NodeRedisClient | Promise<NodeRedisClient> | undefined;
}

/** The part of a cluster client from `createCluster()` that a check needs. */
export interface NodeRedisCluster extends ErrorEmitter {
  readonly isOpen: boolean;
  readonly masters: readonly NodeRedisMaster[];
  /** The nodes of each slot. */
  readonly slots: readonly { readonly master: NodeRedisMaster }[];
  nodeClient(master: never): NodeRedisClient | Promise<NodeRedisClient>;
}

/** The part of a sentinel client from `createSentinel()` that a check needs. */
export interface NodeRedisSentinel extends ErrorEmitter {
  readonly isOpen: boolean;
  readonly isReady: boolean;
  getMasterNode(): { readonly host: string; readonly port: number } | undefined;
  sendCommand(isReadOnly: boolean, command: string[]): Promise<unknown>;
}

type AnyNodeRedis = NodeRedisClient | NodeRedisPool | NodeRedisCluster | NodeRedisSentinel;

export function isNodeRedis(client: object): client is AnyNodeRedis {
  return 'isOpen' in client && ('sendCommand' in client || 'execute' in client);
}

export async function connectNodeRedis(client: AnyNodeRedis): Promise<readonly RedisConnection[]> {
  if ('masters' in client) return connectMasters(client);
  if ('tasksQueueLength' in client) return [connectPool(client)];
  return ['getMasterNode' in client ? connectSentinel(client) : connectClient(client)];
}

const CLOSED = 'the client is not open. Call its connect() when the application starts';
const OFFLINE = 'the client is disconnected and reconnecting';

function connectClient(client: NodeRedisClient): RedisConnection {
  const { socket } = (client.options ?? {}) as { socket?: { host?: string; port?: number; path?: string } };
  return {
    name: `redis ${socket?.path ?? `${socket?.host ?? 'localhost'}:${String(socket?.port ?? 6379)}`}`,
    client,
    isClusterNode: false,
    wantsReplica: false,
    problem: problemOf(client),
    borrow: (use) => use(sessionOf(client)),
    replace: (signal) => (connectsAgain(client) ? replaceClient(client, signal) : undefined),
  };
}

async function replaceClient(client: NodeRedisClient, signal: AbortSignal): Promise<RedisConnection> {
  await replaceConnection(client, signal, () => quit(client));
  return connectClient(client);
}

/** Makes the server close the connection after it has answered all earlier commands. Then the client reconnects. The client has no method for that. */
async function quit(client: NodeRedisClient): Promise<void> {
  await client.sendCommand(['QUIT']);
}

/** Returns whether the client reconnects. If its strategy returns no time, it stays closed after a lost connection. If it has no error listener, a lost connection would end the process. */
function connectsAgain(client: NodeRedisClient): boolean {
  const { socket } = (client.options ?? {}) as { socket?: { reconnectStrategy?: unknown } };
  const strategy = socket?.reconnectStrategy;
  if (strategy === false || client.listenerCount('error') === 0) return false;
  return typeof strategy !== 'function' || typeof strategy(0, new Error('Socket closed unexpectedly')) === 'number';
}

function sessionOf(client: NodeRedisClient): RedisSession {
  return { key: client, send: (command) => client.sendCommand([...command]) };
}

function problemOf({ isOpen, isReady }: { isOpen: boolean; isReady: boolean }): string | undefined {
  if (!isOpen) return CLOSED;
  return isReady ? undefined : OFFLINE;
}

/** The pool chooses the client. An idle client may have lost its connection. */
function connectPool(pool: NodeRedisPool): RedisConnection {
  return {
    name: 'redis pool',
    client: pool,
    isClusterNode: false,
    wantsReplica: false,
    problem: pool.isOpen ? undefined : CLOSED,
    // A client without an answer stays borrowed until it answers or its connection is lost. The next check gets another client, like the application.
    borrow: (use) =>
      pool.execute(async (client) => {
        if (!client.isReady) throw new Error(OFFLINE);
        return use(sessionOf(client));
      }),
    replace: (signal) => (pool.listenerCount('error') === 0 ? undefined : replaceIdle(pool, signal)),
  };
}

/** Replaces the connections of all idle clients, because each of them would make one more check fail. */
async function replaceIdle(pool: NodeRedisPool, signal: AbortSignal): Promise<RedisConnection> {
  const replaceOne = async (client: NodeRedisClient) => {
    if (client.isReady && connectsAgain(client)) await replaceClient(client, signal);
  };
  await Promise.all(Array.from({ length: pool.idleClients }, () => pool.execute(replaceOne)));
  return connectPool(pool);
}

function connectSentinel(sentinel: NodeRedisSentinel): RedisConnection {
  const master = sentinel.getMasterNode();
  return {
    name: `redis master behind sentinels${master === undefined ? '' : `, ${master.host}:${String(master.port)}`}`,
    client: sentinel,
    isClusterNode: false,
    wantsReplica: false,
    // While the sentinel client looks for a master, it holds commands back without a limit.
    problem: sentinel.isOpen && master === undefined ? 'the client is looking for a master' : problemOf(sentinel),
    borrow: (use) => use({ key: sentinel, send: (command) => sentinel.sendCommand(false, [...command]) }),
  };
}

async function connectMasters(cluster: NodeRedisCluster): Promise<readonly RedisConnection[]> {
  if (!cluster.isOpen) throw errorBecauseOf(`redis cluster: ${CLOSED}`, lastErrorOf(cluster));
  if (cluster.masters.length === 0) throw errorBecauseOf(`redis cluster: ${OFFLINE}`, lastErrorOf(cluster));
  return Promise.all(
    cluster.masters.map(async (master) => {
      // With `minimizeConnections`, a cluster client connects to a node with the first command to that node.
      const client = await (master.client ?? cluster.nodeClient(master as never));
      watchErrors(client);
      return {
        ...connectClient(client),
        name: `redis ${master.address}`,
        isClusterNode: true,
        hashTag: findHashTag((slot) => cluster.slots[slot]?.master.address === master.address),
        replace: undefined,
      };
    }),
  );
}
