import type { KnexClient, KnexConnection, KnexPool } from './client.js';
import { explain } from './failure.js';
import { untilAborted } from '../shared/until-aborted.js';

/** When a check last opened a separate connection for a pool, as a reading of `performance.now()`. */
const lastMade = new WeakMap<KnexPool, number>();

/** Returns whether a check can open a separate connection in this dialect, and close it at once if the server does not respond. */
export function canConnectAfresh({ dialect = '', config }: KnexClient): boolean {
  // With the driver's own pool (`connectionPool`), Knex does not know the settings of the connections.
  return CONNECTORS[dialect] !== undefined && config?.connection !== undefined;
}

/**
 * Opens a connection with the settings of the Knex instance and closes it again, if `everyMs` have passed since the last one. After a failure, each check tries again.
 * The pool keeps its connections, so problems that only new connections have (a changed password, an expired certificate) are seen here first.
 *
 * @throws Error that says why the connection failed, when the signal is aborted at the latest
 */
export async function connectAfresh(
  client: KnexClient,
  pool: KnexPool,
  everyMs: number,
  signal: AbortSignal,
  server: string,
): Promise<void> {
  const connector = CONNECTORS[client.dialect ?? ''];
  if (connector === undefined || performance.now() - (lastMade.get(pool) ?? -Infinity) < everyMs) return;
  lastMade.delete(pool);
  const { connection, connected } = connector(client);
  const what = `${server}: no response: a new connection has not been established`;
  const made = connected.catch((error: unknown) => {
    throw new Error(`${server}: a new connection failed, but the connections of the pool still work: ${explain(error)}`);
  });
  try {
    await untilAborted(made, signal, what);
    lastMade.set(pool, performance.now());
    await untilAborted(client.destroyRawConnection(connection), signal, `${server}: no response: a new connection has not been closed`);
  } finally {
    connection.destroy?.();
    (connection.stream ?? connection.connection?.stream)?.destroy?.();
  }
}

interface Attempt {
  readonly connection: KnexConnection;
  readonly connected: Promise<unknown>;
}

/** Uses the driver directly, because a connection attempt of Knex cannot be cancelled. */
const CONNECTORS: Readonly<Record<string, (client: KnexClient) => Attempt>> = {
  postgresql({ driver, connectionSettings }) {
    const connection = new driver!.Client(connectionSettings!);
    connection.on('error', () => {});
    return { connection, connected: connection.connect() };
  },
  mysql({ driver, connectionSettings }) {
    const connection = driver!.createConnection(connectionSettings!);
    connection.on('error', () => {});
    const connected = new Promise<void>((resolve, reject) => {
      connection.connect((error) => (error ? reject(error) : resolve()));
    });
    return { connection, connected };
  },
};
