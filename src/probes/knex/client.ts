/** What is used of the client of a Knex. Its own types leave most of it out. */
export interface KnexClient {
  readonly dialect?: string;
  readonly connectionSettings?: Readonly<Record<string, unknown>>;
  readonly pool: KnexPool | undefined;
  destroyRawConnection(connection: KnexConnection): Promise<unknown>;
  /** Asks on a connection, and resolves to what the driver says, which no hook of the application has processed. */
  query(connection: KnexConnection, query: { sql: string; bindings: readonly unknown[] }): Promise<{ readonly response: unknown }>;
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
}

export interface PendingAcquire {
  readonly promise: Promise<KnexConnection>;
  /** Why the latest new connection has failed. */
  readonly possibleTimeoutCause?: Error | null;
  isRejected?: boolean;
  abort?(): void;
}

export interface KnexConnection {
  /** Knex closes a connection that has this when the pool next comes to it. */
  __knex__disposed?: unknown;
  /** What the server calls it: in PostgreSQL, and in MySQL. */
  readonly processID?: number;
  readonly threadId?: number;
  /** The socket: of mysql2 here, of pg one level down. */
  readonly stream?: Socket;
  readonly connection?: { readonly stream?: Socket };
  destroy?(): void;
}

interface Socket {
  destroy?(): void;
}
