import type { KnexClient } from './client.js';

/** What a new connection waits for: the server, or code of the application. */
export function suspectOfConnecting(client: KnexClient, connecting: number): string {
  if (isAskingForSettings(client)) return 'the function that is the `connection` of the Knex has not come back';
  if (connecting > (rawConnects.get(client) ?? connecting)) return '`pool.afterCreate` has not called its callback on a new connection';
  const { password } = client.connectionSettings ?? {};
  const orFunction = typeof password === 'function' ? ', or the function that is its `password` has not come back' : '';
  return `the server has not completed a new connection${orFunction}`;
}

/** What an idle connection waits for before it is given out. */
export function suspectOfValidating(client: KnexClient): string {
  if (isAskingForSettings(client)) return 'the function that is the `connection` of the Knex has not come back';
  if (client.config?.pool?.validate !== undefined) return '`pool.validate` has not come back for an idle connection';
  return 'an idle connection has not been validated';
}

/** Knex calls the function while the settings that it gave last are expired. */
function isAskingForSettings(client: KnexClient): boolean {
  return client.connectionConfigProvider !== undefined && client.connectionConfigExpirationChecker?.() === true;
}

/** How many connections are being begun to the server. */
const rawConnects = new WeakMap<KnexClient, number>();

/** Tells a server that is silent from an `afterCreate` that is: Knex itself says only that a connection is not ready. */
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
