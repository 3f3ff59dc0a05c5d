/** The part of a Knex client that is used. Knex's own types lack most of it. */
export interface KnexClient {
  readonly dialect?: string;
  readonly driver?: Driver;
  readonly config?: { readonly connection?: unknown; readonly pool?: { readonly afterCreate?: unknown; readonly validate?: unknown } };
  readonly connectionSettings?: Readonly<Record<string, unknown>>;
  /** The function that was passed as `connection`. */
  readonly connectionConfigProvider?: unknown;
  /** Returns whether that function must be called for the next connection. It is null if the settings never expire. */
  readonly connectionConfigExpirationChecker?: (() => boolean) | null;
  readonly pool: KnexPool | undefined;
  acquireRawConnection(): Promise<KnexConnection>;
  destroyRawConnection(connection: KnexConnection): Promise<unknown>;
  /** Sends a query on a connection and resolves to the result of the driver, before hooks of the application process it. It rewrites `sql` for the driver. */
  query(connection: KnexConnection, query: Statement): Promise<{ readonly response: unknown }>;
}

/** One statement, as Knex's query builder returns it. */
export interface Statement {
  readonly sql: string;
  readonly bindings: readonly unknown[];
}

/** The driver: pg, mysql2 or mysql. */
interface Driver {
  readonly Client: new (
    settings: object,
  ) => KnexConnection & { connect(): Promise<unknown>; on(event: 'error', listener: () => void): void };
  createConnection(settings: object): KnexConnection & {
    connect(callback: (error: Error | null) => void): void;
    on(event: 'error', listener: () => void): void;
  };
}

/** The pool of a Knex instance. It is a pool of tarn. If the driver's own pool is used (`connectionPool`), it can only acquire and release. */
export interface KnexPool {
  acquire(): PendingAcquire;
  release(connection: KnexConnection): boolean;
  readonly max?: number;
  /** The idle connections. */
  readonly free?: readonly { readonly resource: KnexConnection }[];
  numUsed?(): number;
  numPendingAcquires?(): number;
  numPendingCreates?(): number;
  numPendingValidations?(): number;
  on?(event: 'release', listener: (connection: KnexConnection) => void): void;
  removeListener?(event: 'release', listener: (connection: KnexConnection) => void): void;
}

export interface PendingAcquire {
  readonly promise: Promise<KnexConnection>;
  /** The error of the latest new connection that failed. */
  readonly possibleTimeoutCause?: Error | null;
  isRejected?: boolean;
  abort?(): void;
}

/** A connection of pg or mysql2, or the database of an embedded driver. */
export interface KnexConnection {
  /** If this is set, Knex closes the connection the next time the pool would use it. Knex also sets it when the connection is lost. */
  __knex__disposed?: unknown;
  /** The number of the connection at the server, in PostgreSQL and in MySQL. */
  readonly processID?: number | null;
  readonly threadId?: number;
  /** The password for a cancel request, and the address of the server. Only pg has these. */
  readonly secretKey?: number | null;
  readonly host?: string;
  readonly port?: number;
  readonly ssl?: boolean | object;
  readonly sslNegotiation?: string;
  /** The socket. For mysql2 it is here, for pg one level deeper. */
  readonly stream?: Socket;
  readonly connection?: { readonly stream?: Socket };
  destroy?(): void;
  end?(callback: () => void): void;
}

interface Socket {
  readonly destroyed?: boolean;
  readonly remoteAddress?: string | undefined;
  destroy?(): void;
}

/** Returns whether the connection can no longer be used. */
export function isClosed({ __knex__disposed: disposed, stream, connection }: KnexConnection): boolean {
  return disposed !== undefined || (stream ?? connection?.stream)?.destroyed === true;
}

/** Closes a connection without a running query. The pool removes it the next time it would use it. */
export function close(client: KnexClient, connection: KnexConnection, reason: string): void {
  connection.__knex__disposed ??= reason;
  client.destroyRawConnection(connection).catch(() => {});
}

/** Closes the socket at once. `end()` of mysql2 would wait for the running query. */
export function breakOff(client: KnexClient, connection: KnexConnection, reason: string): void {
  connection.__knex__disposed ??= reason;
  if (connection.destroy === undefined) client.destroyRawConnection(connection).catch(() => {});
  else connection.destroy();
  (connection.stream ?? connection.connection?.stream)?.destroy?.();
}

/** Makes the pool close its idle connections. Knex closes each the next time the pool would use it. */
export function giveUpIdle(pool: KnexPool, reason: string): void {
  for (const { resource } of pool.free ?? []) resource.__knex__disposed ??= reason;
}

/** In an embedded database, the connection is the database: closing it would delete a database in memory. */
export function isEmbedded({ dialect }: KnexClient): boolean {
  return dialect === 'sqlite3';
}

/** Returns the rows of a result, for any driver. */
export function rowsOf({ dialect }: KnexClient, response: unknown): Row[] {
  if (dialect === 'mysql') return (response as [Row[]])[0];
  if (dialect !== 'postgresql' && Array.isArray(response)) return response as Row[];
  // pg returns a list if the text contains several statements.
  const last: unknown = Array.isArray(response) ? response.at(-1) : response;
  return (last as { readonly rows?: Row[] } | undefined)?.rows ?? [];
}

/** Sends one statement to the server and resolves to the rows of its result. */
export type Ask = (statement: Statement) => Promise<Row[]>;

export type Row = Readonly<Record<string, unknown>>;
