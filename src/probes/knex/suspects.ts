import type { KnexClient } from './client.js';

/** Describes what a new connection waits for: the server, or code of the application. */
export function suspectOfConnecting(client: KnexClient, connecting: number): string {
  if (isAskingForSettings(client)) return 'the `connection` function of Knex has not settled';
  if (connecting > (rawConnects.get(client) ?? connecting)) return '`pool.afterCreate` has not called its callback on a new connection';
  const { password } = client.connectionSettings ?? {};
  const orFunction = typeof password === 'function' ? ', or its `password` function has not settled' : '';
  return `a new connection to the server has not been established${orFunction}`;
}

/** Describes what an idle connection waits for before the pool hands it out. */
export function suspectOfValidating(client: KnexClient): string {
  if (isAskingForSettings(client)) return 'the `connection` function of Knex has not settled';
  if (client.config?.pool?.validate !== undefined) return '`pool.validate` has not settled for an idle connection';
  return 'an idle connection has not been validated';
}

/** Knex calls the function when the last settings have expired. */
function isAskingForSettings(client: KnexClient): boolean {
  return client.connectionConfigProvider !== undefined && client.connectionConfigExpirationChecker?.() === true;
}

/** Number of connection attempts to the server in progress. */
const rawConnects = new WeakMap<KnexClient, number>();

/** Counts connection attempts, to tell a server that does not respond from an `afterCreate` that does not. Knex only tells that a connection is not ready. */
export function watchConnecting(client: KnexClient): void {
  const isUnderWay = (client.pool?.numPendingCreates?.() ?? 0) > 0;
  if (client.config?.pool?.afterCreate === undefined || rawConnects.has(client) || isUnderWay) return;
  rawConnects.set(client, 0);
  const connect = client.acquireRawConnection.bind(client);
  const add = (change: number) => rawConnects.set(client, (rawConnects.get(client) ?? 0) + change);
  client.acquireRawConnection = () => {
    add(1);
    return connect().finally(() => add(-1));
  };
}
