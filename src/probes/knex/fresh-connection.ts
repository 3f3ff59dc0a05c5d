import type { KnexClient, KnexConnection, KnexPool } from './client.js';
import { explain } from './failure.js';
import { untilAborted } from '../shared/until-aborted.js';

/** When a connection of a check's own was last made for a pool, on the clock of `performance.now()`. */
const lastMade = new WeakMap<KnexPool, number>();

/** Whether a check can open a connection of its own in this dialect, and close it at once if the server is silent. */
export function canConnectAfresh({ dialect = '', config }: KnexClient): boolean {
  // Of the driver's own pool (`connectionPool`) Knex does not know the settings.
  return CONNECTORS[dialect] !== undefined && config?.connection !== undefined;
}

/**
 * Makes a connection with the settings of the Knex and closes it again, if the last one was made `everyMs` ago. After a failure each check tries again.
 * The pool keeps its connections, so what only new ones meet (another password, an expired certificate) is seen here first.
 *
 * @throws Error that says why no connection was made, at the signal's abort at the latest.
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
  const what = `${server}: silent: a new connection of the check's own has not been completed`;
  const made = connected.catch((error: unknown) => {
    throw new Error(`${server}: a new connection fails, and those of the pool still work: ${explain(error)}`);
  });
  try {
    await untilAborted(made, signal, what);
    lastMade.set(pool, performance.now());
    await untilAborted(
      client.destroyRawConnection(connection),
      signal,
      `${server}: silent: a new connection of the check's own has not been closed`,
    );
  } finally {
    connection.destroy?.();
    (connection.stream ?? connection.connection?.stream)?.destroy?.();
  }
}

interface Attempt {
  readonly connection: KnexConnection;
  readonly connected: Promise<unknown>;
}

/** By the driver itself: what Knex has begun to connect cannot be given up. */
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
