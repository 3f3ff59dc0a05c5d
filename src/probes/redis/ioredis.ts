import { errorBecauseOf } from '../shared/connection-error.js';
import { lastErrorOf, watchErrors, type ErrorEmitter } from './client-errors.js';
import { findHashTag } from './cluster-slot.js';
import type { RedisConnection, RedisSession } from './connection.js';
import { replaceConnection } from './reconnection.js';

/** The part of a `Redis` client of ioredis that a check needs. */
export interface IoredisClient extends ErrorEmitter {
  readonly isCluster: boolean;
  readonly status: string;
  readonly stream: object;
  readonly options: object;
  call(command: string, ...args: string[]): Promise<unknown>;
  disconnect(reconnect: boolean): void;
}

/** The part of a `Cluster` client of ioredis that a check needs. */
export interface IoredisCluster extends ErrorEmitter {
  readonly isCluster: boolean;
  readonly status: string;
  /** For each slot, `host:port` of its master and its replicas. */
  readonly slots: readonly (readonly string[])[];
  nodes(role: 'master'): IoredisClient[];
  refreshSlotsCache(callback: () => void): void;
}

export function isIoredis(client: object): client is IoredisClient | IoredisCluster {
  return 'status' in client && 'isCluster' in client;
}

export async function connectIoredis(client: IoredisClient | IoredisCluster): Promise<readonly RedisConnection[]> {
  return 'slots' in client ? connectMasters(client) : [connectClient(client)];
}

const PROBLEMS: Readonly<Record<string, string>> = {
  wait: 'the client has never been connected (lazyConnect). Call its connect() when the application starts',
  connecting: 'the client is connecting',
  connect: 'the client is connected, but not ready yet',
  close: 'the client is disconnected and reconnecting',
  reconnecting: 'the client is disconnected and reconnecting',
  disconnecting: 'the client is disconnecting',
  monitoring: 'the client is in monitor mode. Bind another client',
  end: 'the client is closed and does not reconnect',
};

function connectClient(client: IoredisClient): RedisConnection {
  const { status, options } = client;
  const session = sessionOf(client, status === 'wait' ? client : (client.stream ?? client));
  const { role, readOnly } = options as { role?: unknown; readOnly?: unknown };
  const wantsReplica = role === 'slave' || readOnly === true;
  return {
    name: nameOf(client),
    client,
    isClusterNode: false,
    wantsReplica,
    problem: status === 'ready' ? undefined : (PROBLEMS[status] ?? `the client is ${status}`),
    isStarting: status === 'connect',
    borrow: (use) => use(session),
    replace: (signal) => (wantsReplica || !connectsAgain(client) ? undefined : replaceClient(client, signal)),
  };
}

/** Reconnects like the option `reconnectOnError` of the client: commands without an answer are sent again on the new connection, unless the client is configured otherwise. */
async function replaceClient(client: IoredisClient, signal: AbortSignal): Promise<RedisConnection> {
  await replaceConnection(client, signal, () => client.disconnect(true));
  return connectClient(client);
}

/** Returns whether the client reconnects. If its strategy returns no time, it stays closed after a lost connection. Call this only when it matters, because the application may count the calls of its strategy. */
function connectsAgain({ options }: IoredisClient): boolean {
  const { retryStrategy } = options as { retryStrategy?: unknown };
  return typeof retryStrategy === 'function' && typeof retryStrategy(1) === 'number';
}

function sessionOf(client: IoredisClient, key: object): RedisSession {
  return { key, send: ([command = '', ...args]) => client.call(command, ...args) };
}

/**
 * The list of nodes lacks a master whose connection is lost. The master comes back with the next command to one of its slots.
 * Without this check, the remaining nodes would count as all, and a pod without requests would never be ready again.
 */
async function connectMasters(cluster: IoredisCluster): Promise<readonly RedisConnection[]> {
  if (cluster.status !== 'ready')
    throw errorBecauseOf(`redis cluster: ${PROBLEMS[cluster.status] ?? cluster.status}`, lastErrorOf(cluster));
  if (listMissing(cluster).length > 0) await new Promise<void>((resolve) => cluster.refreshSlotsCache(() => resolve()));
  const [missing] = listMissing(cluster);
  if (missing !== undefined)
    throw errorBecauseOf(`redis ${missing}: the cluster client is not connected to this master`, lastErrorOf(cluster));
  return cluster.nodes('master').map((node) => connectNode(node, cluster));
}

function listMissing(cluster: IoredisCluster): readonly string[] {
  const known = new Set(cluster.nodes('master').map(addressOf));
  const masters = new Set(cluster.slots.map(([master]) => master));
  return [...masters].filter((master) => master !== undefined && !known.has(master)) as string[];
}

/** A cluster client connects to a node with the first command to that node, and closes the node if that fails. So a command may wait for the connection. */
function connectNode(node: IoredisClient, { slots }: IoredisCluster): RedisConnection {
  watchErrors(node);
  const address = addressOf(node);
  const connection = connectClient(node);
  const canAsk = ['wait', 'connecting', 'connect', 'ready'].includes(node.status);
  return {
    ...connection,
    borrow: node.status === 'ready' ? connection.borrow : (use) => use(sessionOf(node, node)),
    isClusterNode: true,
    hashTag: findHashTag((slot) => slots[slot]?.[0] === address),
    replace: undefined,
    problem: canAsk ? undefined : connection.problem,
    isStarting: false,
  };
}

function nameOf(client: IoredisClient): string {
  const { path, sentinels, name } = client.options as { path?: string; sentinels?: unknown; name?: string };
  if (path) return `redis ${path}`;
  if (!sentinels) return `redis ${addressOf(client)}`;
  const { remoteAddress, remotePort } = (client.stream ?? {}) as { remoteAddress?: string; remotePort?: number };
  return `redis ${name ?? ''} behind sentinels${remoteAddress === undefined ? '' : `, ${remoteAddress}:${String(remotePort)}`}`;
}

function addressOf({ options }: IoredisClient): string {
  const { host, port } = options as { host?: string; port?: number };
  return `${host ?? '127.0.0.1'}:${String(port ?? 6379)}`;
}
