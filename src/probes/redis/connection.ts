import type { ErrorEmitter } from './client-errors.js';

/** The connection of a client to one server. */
export interface RedisConnection {
  /** The name of the server in messages: `redis 127.0.0.1:6379`. */
  readonly name: string;
  /** The emitter of the connection's errors. */
  readonly client: ErrorEmitter;
  readonly isClusterNode: boolean;
  /** For a master of a cluster: the hash tag of a slot that it serves, as far as the client knows. */
  readonly hashTag?: string | undefined;
  /** Whether the client itself asks for a replica. */
  readonly wantsReplica: boolean;
  /** Why no command can be sent now. The client would put the command into its offline queue. */
  readonly problem: string | undefined;
  /** Whether the client is connected, but waits until the server has loaded its data. */
  readonly isStarting?: boolean;
  /** Lends the session for all commands of one check. */
  readonly borrow: <T>(use: (session: RedisSession) => Promise<T>) => Promise<T>;
  /** Makes the client close this connection and connect again. It is missing, or returns undefined, if the client would not reconnect or finds its master by itself. */
  readonly replace?: ((signal: AbortSignal) => Promise<RedisConnection> | undefined) | undefined;
}

/** The session that commands in flight belong to. Commands of an earlier session are lost or sent again by the client, and nobody waits for them. */
export interface RedisSession {
  readonly key: object;
  readonly send: (command: readonly string[]) => Promise<unknown>;
}
