import type { ErrorEmitter } from './client-errors.js';

/** A client's way to one server. */
export interface RedisConnection {
  /** Subject of a message: `redis 127.0.0.1:6379`. */
  readonly name: string;
  /** What emits its errors. */
  readonly client: ErrorEmitter;
  readonly isClusterNode: boolean;
  /** Of a master of a cluster: the hash tag of a slot that it serves, as far as the client knows. */
  readonly hashTag?: string | undefined;
  /** The client itself asks for a replica. */
  readonly wantsReplica: boolean;
  /** Why nothing can be asked now: the client would put it into its offline queue. */
  readonly problem: string | undefined;
  /** The client has a connection and holds it back until the server has loaded. */
  readonly isStarting?: boolean;
  /** Lends what all commands of one check are sent on. */
  readonly borrow: <T>(use: (session: RedisSession) => Promise<T>) => Promise<T>;
  /** Has the client give up the connection and connect anew. Left out, or gives nothing, if the client would not connect again or finds its master by itself. */
  readonly replace?: ((signal: AbortSignal) => Promise<RedisConnection> | undefined) | undefined;
}

/** What commands are under way on. Those of a session before are lost or sent again by the client, and not waited for. */
export interface RedisSession {
  readonly key: object;
  readonly send: (command: readonly string[]) => Promise<unknown>;
}
