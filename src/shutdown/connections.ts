import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http';
import { Server, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import { Connection } from './connection.js';
import { Http2Sessions } from './http2-sessions.js';

/** How long a connection must be idle before it is closed, because the client's next request may be on its way. */
const SETTLED_AFTER_MS = 150;
const ROUND_EVERY_MS = 20;

/** Number of idle connections that are closed in one turn of the event loop. */
const CLOSED_A_TURN = 16;

/** Most connections that can wait in the kernel to be accepted, with the defaults of Linux. */
const LONGEST_QUEUE = 4_096;

/** Node publishes these for each request of each HTTP/1 server, including requests with `Expect` or without a listener. The servers need no change. */
const REQUEST_START = 'http.server.request.start';
const RESPONSE_FINISH = 'http.server.response.finish';

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly socket: Socket;
  readonly server: Server;
}

/** The connections of the servers of one shutdown. They are tracked from its installation on, then told to close, and then closed. */
export class Connections {
  readonly #bySocket = new Map<Socket, Connection>();
  readonly #sessions: Http2Sessions;
  /** Servers whose listener was closed by this shutdown. */
  readonly #closed = new Set<Server>();
  #accepted = 0;
  #isAnnounced = false;
  #isCut = false;

  constructor(private readonly servers: readonly Server[]) {
    this.#sessions = new Http2Sessions(servers);
    for (const server of servers) server.on('connection', this.#watch).on('secureConnection', this.#watch);
    subscribe(REQUEST_START, this.#onStart);
    subscribe(RESPONSE_FINISH, this.#onFinish);
  }

  /** Removes every listener from the servers, and stops the timers of the closed servers. */
  unwatch(): void {
    this.#sessions.unwatch();
    for (const server of this.servers) {
      server.off('connection', this.#watch).off('secureConnection', this.#watch).off('listening', this.#closeLate);
    }
    this.#closed.forEach(finishClosing);
    this.#closed.clear();
    unsubscribe(REQUEST_START, this.#onStart);
    unsubscribe(RESPONSE_FINISH, this.#onFinish);
    for (const socket of this.#bySocket.keys()) socket.off('close', this.#onClose);
    this.#bySocket.clear();
  }

  /** Number of open connections. A TLS connection counts once, although it consists of two sockets. */
  get open(): number {
    let secure = 0;
    for (const socket of this.#bySocket.keys()) if ('encrypted' in socket) secure += 1;
    return Math.max(secure, this.#bySocket.size - secure);
  }

  /** Number of WebSockets and other tunnels. They have no request in flight, and nobody knows when they end. */
  get upgraded(): number {
    return this.#upgradedSockets.length + this.#sessions.upgraded.length;
  }

  /** Number of requests in flight. */
  get requests(): number {
    return this.countRequestsBefore(Infinity);
  }

  /** Counts requests in flight that began before `time`, a reading of `performance.now()`. */
  countRequestsBefore(time: number): number {
    let requests = this.#sessions.countRequestsBefore(time);
    for (const connection of this.#bySocket.values()) requests += connection.countRequestsBefore(time);
    return requests;
  }

  /** Whether there are servers, but none is listening and no connection is open. */
  get areClosed(): boolean {
    return this.servers.length > 0 && this.#bySocket.size === 0 && this.servers.every(({ listening }) => !listening);
  }

  /** From now on every response tells its client not to send another request on the connection. */
  announceClose(): void {
    this.#isAnnounced = true;
    for (const connection of this.#bySocket.values()) connection.announceClose();
    this.#sessions.announceClose();
  }

  /** Stops accepting new connections. */
  async closeListeners(): Promise<void> {
    await this.#acceptWaiting();
    for (const server of this.servers) {
      if (server.listening) closeListener(server, this.#closed);
      else server.once('listening', this.#closeLate);
    }
  }

  /** Closes idle connections, and resolves when only upgraded connections are left. */
  async close(): Promise<void> {
    const settledAt = performance.now() + SETTLED_AFTER_MS;
    while (this.#held > 0) {
      await pause(ROUND_EVERY_MS);
      if (performance.now() < settledAt) continue;
      this.#sessions.close();
      await this.#closeSettled();
    }
    await this.#closeUnwatched();
  }

  /** Sends a FIN on the upgraded connections, and destroys those that the client has not closed within `withinMs`. */
  async closeUpgraded(withinMs: number): Promise<void> {
    const endsAt = performance.now() + withinMs;
    for (const socket of this.#upgradedSockets) socket.end();
    this.#sessions.endTunnels();
    this.#sessions.close();
    while (this.#bySocket.size > 0 && performance.now() < endsAt) await pause(ROUND_EVERY_MS);
    for (const socket of this.#bySocket.keys()) socket.destroy();
  }

  get #upgradedSockets(): Socket[] {
    return Array.from(this.#bySocket.values())
      .filter(({ isUpgraded }) => isUpgraded)
      .map(({ socket }) => socket);
  }

  /** Number of sockets that `close()` waits for. Below the socket of a TLS connection is another one, which must not count for an upgraded connection. */
  get #held(): number {
    const secure = [...this.#upgradedSockets, ...this.#sessions.upgraded].filter((one) => 'encrypted' in one && one.encrypted === true);
    return this.#bySocket.size - this.upgraded - secure.length;
  }

  /** Handles connections that were open before they were tracked: closes the idle ones, and waits for requests in flight on the others. */
  async #closeUnwatched(): Promise<void> {
    // In newer versions of Node this also closes HTTP/2 sessions, including those that are not tracked here.
    for (const server of this.#closed) finishClosing(server);
    this.#closed.clear();
    const servers = this.servers as readonly (Server & { closeIdleConnections?: () => void })[];
    while (!this.#isCut && (await countConnections(servers)) > this.open) {
      for (const server of servers) server.closeIdleConnections?.();
      await pause(ROUND_EVERY_MS);
    }
  }

  /** Destroys all open connections. */
  destroy(): void {
    this.#isCut = true;
    for (const socket of this.#bySocket.keys()) socket.destroy();
    for (const server of this.servers as readonly Partial<HttpServer>[]) server.closeAllConnections?.();
  }

  /**
   * Accepts the connections that wait in the kernel, because closing the listener would reset them.
   * Node accepts one connection per turn of the event loop. If a turn accepts none, none is left.
   */
  async #acceptWaiting(): Promise<void> {
    for (let accepted = 0; accepted < LONGEST_QUEUE; accepted += 1) {
      const before = this.#accepted;
      await turn();
      if (this.#accepted === before) return;
    }
  }

  /** Closes a few connections per turn of the event loop and checks them again first. If it closed many at once, requests could arrive unnoticed in the meantime. */
  async #closeSettled(): Promise<void> {
    const hasSettled = ([, connection]: [Socket, Connection]) => connection.hasRestedSince(performance.now() - SETTLED_AFTER_MS);
    const settled = [...this.#bySocket].filter(hasSettled);
    while (settled.length > 0) {
      await turn();
      for (const [socket] of settled.splice(0, CLOSED_A_TURN).filter(hasSettled)) socket.destroy();
    }
  }

  readonly #watch = (socket: Socket): Connection => {
    const connection = new Connection(socket, performance.now());
    this.#accepted += 1;
    this.#bySocket.set(socket, connection);
    socket.once('close', this.#onClose);
    return connection;
  };

  readonly #onClose = forgetIn(this.#bySocket);

  readonly #closeLate = closeLateIn(this.#closed);

  readonly #onStart = (message: unknown): void => {
    const { server, socket, request, response } = message as Exchange;
    if (!this.servers.includes(server)) return;
    const connection = this.#bySocket.get(socket) ?? this.#watch(socket);
    connection.begin(request, response, performance.now());
    if (this.#isAnnounced) connection.announceCloseWith(response);
  };

  readonly #onFinish = (message: unknown): void => {
    this.#bySocket.get((message as Exchange).socket)?.end(performance.now());
  };
}

async function countConnections(servers: readonly Server[]): Promise<number> {
  const counts = servers.map((server) => {
    return new Promise<number>((resolve) => server.getConnections((error, count) => resolve(error === null ? count : 0)));
  });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

function forgetIn(connections: Map<Socket, Connection>) {
  return function forget(this: Socket): void {
    connections.delete(this);
  };
}

/** Closes a server that starts to listen during the shutdown. The callback of the application runs first, because it may read the address. */
function closeLateIn(closed: Set<Server>) {
  return function closeLate(this: Server): void {
    setImmediate(() => {
      if (this.listening) closeListener(this, closed);
    });
  };
}

/**
 * Closes only the listener. `close()` of an http server would also close idle connections, whose next request may have arrived already,
 * and stop the timer that ends incomplete requests.
 */
function closeListener(server: Server, closed: Set<Server>): void {
  Server.prototype.close.call(server);
  closed.add(server);
}

/** Runs the rest of the `close()` of the server's class. It runs on a stand-in that emits nothing, because the server has already emitted `close`. */
function finishClosing(server: Server): void {
  const silent = Object.create(server, { emit: { value: () => false } }) as Server;
  (Object.getPrototypeOf(server) as Server).close.call(silent);
}
