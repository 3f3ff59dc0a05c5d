/** What is used of the client of a Knex. Its own types leave most of it out. */
export interface KnexClient {
  readonly dialect?: string;
  readonly driver?: Driver;
  readonly config?: { readonly connection?: unknown; readonly pool?: { readonly afterCreate?: unknown; readonly validate?: unknown } };
  readonly connectionSettings?: Readonly<Record<string, unknown>>;
  /** The function that was given as `connection`. */
  readonly connectionConfigProvider?: unknown;
  /** Whether that function must be called for the next connection; null if the settings that it gave are good for ever. */
  readonly connectionConfigExpirationChecker?: (() => boolean) | null;
  readonly pool: KnexPool | undefined;
  acquireRawConnection(): Promise<KnexConnection>;
  destroyRawConnection(connection: KnexConnection): Promise<unknown>;
  /** Asks on a connection, and resolves to what the driver says, which no hook of the application has processed. Turns `sql` into the driver's own. */
  query(connection: KnexConnection, query: Statement): Promise<{ readonly response: unknown }>;
}

/** One statement, as a query builder of Knex gives it. */
export interface Statement {
  readonly sql: string;
  readonly bindings: readonly unknown[];
}

/** The drivers: pg and mysql2 (or mysql). */
interface Driver {
  readonly Client: new (
    settings: object,
  ) => KnexConnection & { connect(): Promise<unknown>; on(event: 'error', listener: () => void): void };
  createConnection(settings: object): KnexConnection & {
    connect(callback: (error: Error | null) => void): void;
    on(event: 'error', listener: () => void): void;
  };
}

/** The pool of a Knex, which is tarn's. Around the driver's own pool (`connectionPool`) Knex puts one that can only acquire and release. */
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
  /** Why the latest new connection has failed. */
  readonly possibleTimeoutCause?: Error | null;
  isRejected?: boolean;
  abort?(): void;
}

/** A connection of pg or mysql2, or the database of an embedded driver. */
export interface KnexConnection {
  /** Knex closes a connection that has this when the pool next comes to it. It is set when the connection is lost, too. */
  __knex__disposed?: unknown;
  /** What the server calls it: in PostgreSQL, and in MySQL. */
  readonly processID?: number | null;
  readonly threadId?: number;
  /** Of pg: the password for a cancel request, and where the connection leads. */
  readonly secretKey?: number | null;
  readonly host?: string;
  readonly port?: number;
  readonly ssl?: boolean | object;
  readonly sslNegotiation?: string;
  /** The socket: of mysql2 here, of pg one level down. */
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

/** Whether nothing can be asked on the connection any more. */
export function isClosed({ __knex__disposed: disposed, stream, connection }: KnexConnection): boolean {
  return disposed !== undefined || (stream ?? connection?.stream)?.destroyed === true;
}

/** Closes a connection on which nothing runs. The pool drops it when it next comes to it. */
export function close(client: KnexClient, connection: KnexConnection, reason: string): void {
  connection.__knex__disposed ??= reason;
  client.destroyRawConnection(connection).catch(() => {});
}

/** Closes the socket now: `end()` of mysql2 would queue behind the query. */
export function breakOff(client: KnexClient, connection: KnexConnection, reason: string): void {
  connection.__knex__disposed ??= reason;
  if (connection.destroy === undefined) client.destroyRawConnection(connection).catch(() => {});
  else connection.destroy();
  (connection.stream ?? connection.connection?.stream)?.destroy?.();
}

/** Has the pool close its idle connections. Knex does so when the pool next comes to each. */
export function giveUpIdle(pool: KnexPool, reason: string): void {
  for (const { resource } of pool.free ?? []) resource.__knex__disposed ??= reason;
}

/** An embedded database is its connection: closed, one in memory would be gone. */
export function isEmbedded({ dialect }: KnexClient): boolean {
  return dialect === 'sqlite3';
}

/** The rows of an answer, whatever the driver. */
export function rowsOf({ dialect }: KnexClient, response: unknown): Row[] {
  if (dialect === 'mysql') return (response as [Row[]])[0];
  if (dialect !== 'postgresql' && Array.isArray(response)) return response as Row[];
  // pg gives a list if the text had several statements.
  const last: unknown = Array.isArray(response) ? response.at(-1) : response;
  return (last as { readonly rows?: Row[] } | undefined)?.rows ?? [];
}

/** Asks the server one statement, and resolves to its rows. */
export type Ask = (statement: Statement) => Promise<Row[]>;

export type Row = Readonly<Record<string, unknown>>;
