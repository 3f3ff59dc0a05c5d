import type { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { closeWithHead } from './last-head.js';

/** An empty line between two requests is no begin of one (RFC 9112, section 2.2). */
const STRAY_BYTES = '\r\n'.length;

/** One connection of a server that speaks HTTP/1: what is in flight on it, and whether anything has come since. */
export class Connection {
  #restedAt: number;
  #bytesAtRest = 0;
  #writtenAtRest: number;
  /** When each request in flight began: they are answered in their order. */
  readonly #begunAt: number[] = [];
  #latest: ServerResponse | undefined;
  #upload: IncomingMessage | undefined;

  constructor(
    readonly socket: Socket,
    now: number,
  ) {
    this.#restedAt = now;
    this.#writtenAtRest = this.#bytesWritten;
  }

  get requests(): number {
    return this.#begunAt.length;
  }

  /** Requests in flight that began before that time. */
  countRequestsBefore(time: number): number {
    return this.#begunAt.filter((begunAt) => begunAt < time).length;
  }

  /** A WebSocket, or a tunnel by CONNECT: Node has taken its parser off, and the application has answered. Until then it is a request. */
  get isUpgraded(): boolean {
    return (this.socket as { parser?: unknown }).parser === null && this.#bytesWritten > this.#writtenAtRest;
  }

  begin(request: IncomingMessage, response: ServerResponse, now: number): void {
    this.#begunAt.push(now);
    this.#latest = response;
    this.#notePart();
    if (!hasBody(request)) return;
    this.#upload = request;
    request.once('end', () => {
      if (this.#upload === request) this.#upload = undefined;
      // What has come of its body is no part of the next request, also after an answer that has not waited for it.
      this.#notePart();
    });
  }

  end(now: number): void {
    // None, where the request was there before its connection was watched.
    this.#begunAt.shift();
    if (this.requests > 0) return;
    this.#latest = undefined;
    this.#restedAt = now;
    this.#writtenAtRest = this.#bytesWritten;
  }

  #notePart(): void {
    this.#bytesAtRest = this.#bytesRead;
  }

  /** A server takes any duplex stream for a connection, and not every one counts. */
  get #bytesRead(): number {
    return (this.socket as Partial<Socket>).bytesRead ?? 0;
  }

  get #bytesWritten(): number {
    return (this.socket as Partial<Socket>).bytesWritten ?? 0;
  }

  /**
   * Nothing is in flight or still to come of a request that is answered, and nothing has come since: not so where one was sent in part, nor on an upgraded socket or one that speaks HTTP/2.
   */
  hasRestedSince(time: number): boolean {
    const isBetweenRequests = this.requests === 0 && this.#upload === undefined;
    return isBetweenRequests && this.#bytesRead - this.#bytesAtRest <= STRAY_BYTES && this.#restedAt <= time;
  }

  /** The client is told with the answer under way, where that is not too late, not to come again. */
  announceClose(): void {
    if (this.#latest !== undefined) this.announceCloseWith(this.#latest);
  }

  announceCloseWith(response: ServerResponse): void {
    if (response.headersSent) return;
    closeWithHead(
      response,
      () => this.#latest === response,
      () => hangUpAfter(response.req, this.socket),
    );
  }
}

/**
 * Node hangs up as soon as the answer is sent, and a client that is still sending would read of a reset in its place. Now it reads the answer and its end, and is heard out
 * (RFC 9112, section 9.6).
 */
function hangUpAfter(request: IncomingMessage, socket: Socket): void {
  const hangUp = (): void => Socket.prototype.destroySoon.call(socket);
  socket.destroySoon = () => {
    if (request.complete) return hangUp();
    socket.end();
    request.once('end', hangUp);
    // Node itself reads on only where the application has not begun to; one that has, and has paused, may have nothing else to go on for.
    if (request.listenerCount('data') === 0 || request.isPaused()) request.resume();
  };
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
}
