import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http';
import { Server, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import { Connection } from './connection.js';
import { Http2Sessions } from './http2-sessions.js';

/** How long a connection must have been at rest before it is closed: the client's next request may be on its way. */
const SETTLED_AFTER_MS = 150;
const ROUND_EVERY_MS = 20;

/** Idle connections that are closed in one turn of the event loop. */
const CLOSED_A_TURN = 16;

/** As many connections as can wait in the kernel to be accepted, where Linux is left as it is. */
const LONGEST_QUEUE = 4_096;

/** Published by Node for each request of each HTTP/1 server, those with `Expect` or without a listener too, and without a change to the server. */
const REQUEST_START = 'http.server.request.start';
const RESPONSE_FINISH = 'http.server.response.finish';

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly socket: Socket;
  readonly server: Server;
}

/** The connections of the servers of one shutdown: watched from its installation on, told to leave, and closed. */
export class Connections {
  readonly #bySocket = new Map<Socket, Connection>();
  readonly #sessions: Http2Sessions;
  /** Those whose listener was closed here. */
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

  /** Leaves no listener on a server, and no timer of one that was closed. */
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

  /** Connections that are open. One with TLS counts once, although it stands on another. */
  get open(): number {
    let secure = 0;
    for (const socket of this.#bySocket.keys()) if ('encrypted' in socket) secure += 1;
    return Math.max(secure, this.#bySocket.size - secure);
  }

  /** Connections that are a WebSocket or another tunnel: no request is in flight on them, and nobody knows when they end. */
  get upgraded(): number {
    return this.#upgradedSockets.length + this.#sessions.upgraded.length;
  }

  /** Requests in flight. */
  get requests(): number {
    return this.countRequestsBefore(Infinity);
  }

  /** Requests in flight that began before that time of `performance.now()`. */
  countRequestsBefore(time: number): number {
    let requests = this.#sessions.countRequestsBefore(time);
    for (const connection of this.#bySocket.values()) requests += connection.countRequestsBefore(time);
    return requests;
  }

  /** There are servers, none of them listens, and none has a connection. */
  get areClosed(): boolean {
    return this.servers.length > 0 && this.#bySocket.size === 0 && this.servers.every(({ listening }) => !listening);
  }

  /** From now on every answer tells its client not to send another request on its connection. */
  announceClose(): void {
    this.#isAnnounced = true;
    for (const connection of this.#bySocket.values()) connection.announceClose();
    this.#sessions.announceClose();
  }

  /** Takes no new connections any more. */
  async closeListeners(): Promise<void> {
    await this.#acceptWaiting();
    for (const server of this.servers) {
      if (server.listening) closeListener(server, this.#closed);
      else server.once('listening', this.#closeLate);
    }
  }

  /** Closes the connections at rest, and resolves when there are none but upgraded ones. */
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

  /** Says goodbye to the upgraded connections by a FIN, and cuts those whose clients have not answered it by then. */
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

  /** Sockets that are waited for. One with TLS stands on another, which is none of its own. */
  get #held(): number {
    const secure = [...this.#upgradedSockets, ...this.#sessions.upgraded].filter((one) => 'encrypted' in one && one.encrypted === true);
    return this.#bySocket.size - this.upgraded - secure.length;
  }

  /** Those that were open before they were watched: the idle ones are closed, and what is in flight on the others goes on to its end. */
  async #closeUnwatched(): Promise<void> {
    // Newer versions of Node tell the sessions of http2, which are not known here.
    for (const server of this.#closed) finishClosing(server);
    this.#closed.clear();
    const servers = this.servers as readonly (Server & { closeIdleConnections?: () => void })[];
    while (!this.#isCut && (await countConnections(servers)) > this.open) {
      for (const server of servers) server.closeIdleConnections?.();
      await pause(ROUND_EVERY_MS);
    }
  }

  /** Cuts whatever is open. */
  destroy(): void {
    this.#isCut = true;
    for (const socket of this.#bySocket.keys()) socket.destroy();
    for (const server of this.servers as readonly Partial<HttpServer>[]) server.closeAllConnections?.();
  }

  /** What waits in the kernel would be reset with the listener. Node accepts one connection in a turn of the event loop: when a turn brings none, none is left. */
  async #acceptWaiting(): Promise<void> {
    for (let accepted = 0; accepted < LONGEST_QUEUE; accepted += 1) {
      const before = this.#accepted;
      await turn();
      if (this.#accepted === before) return;
    }
  }

  /** A few after each turn of the event loop, looked at again: while it closes many, requests would arrive unseen. */
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

/** It began to listen in the middle of the shutdown. The application's own callback, which reads the address, comes first. */
function closeLateIn(closed: Set<Server>) {
  return function closeLate(this: Server): void {
    setImmediate(() => {
      if (this.listening) closeListener(this, closed);
    });
  };
}

/** The listener alone: `close()` of http also cuts the connections that are idle, whose next request may have arrived already, and stops the timer that ends half a request. */
function closeListener(server: Server, closed: Set<Server>): void {
  Server.prototype.close.call(server);
  closed.add(server);
}

/** The rest of its class's own `close()`. A second one would say `close` again, so that what hears it is not the server itself. */
function finishClosing(server: Server): void {
  const silent = Object.create(server, { emit: { value: () => false } }) as Server;
  (Object.getPrototypeOf(server) as Server).close.call(silent);
}
