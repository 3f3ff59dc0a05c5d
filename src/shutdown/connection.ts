import type { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { closeWithHead } from './last-head.js';

/** An empty line between two requests is not the start of a request (RFC 9112, section 2.2). */
const STRAY_BYTES = '\r\n'.length;

/** One HTTP/1 connection: the requests in flight, and whether more data has arrived since the last one. */
export class Connection {
  #restedAt: number;
  #bytesAtRest = 0;
  #writtenAtRest: number;
  /** When each request in flight began. Requests of one connection are answered in order. */
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

  /** Counts requests in flight that began before that time. */
  countRequestsBefore(time: number): number {
    return this.#begunAt.filter((begunAt) => begunAt < time).length;
  }

  /** Whether this is a WebSocket or a CONNECT tunnel: Node has removed its HTTP parser, and the application has responded. Until then it counts as a request. */
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
      // The bytes of this body do not belong to the next request, even if the response was sent before the body arrived.
      this.#notePart();
    });
  }

  end(now: number): void {
    // The list is empty if the request began before its connection was tracked.
    this.#begunAt.shift();
    if (this.requests > 0) return;
    this.#latest = undefined;
    this.#restedAt = now;
    this.#writtenAtRest = this.#bytesWritten;
  }

  #notePart(): void {
    this.#bytesAtRest = this.#bytesRead;
  }

  /** A server accepts any duplex stream as a connection, and not every stream counts its bytes. */
  get #bytesRead(): number {
    return (this.socket as Partial<Socket>).bytesRead ?? 0;
  }

  get #bytesWritten(): number {
    return (this.socket as Partial<Socket>).bytesWritten ?? 0;
  }

  /**
   * Returns whether the connection has been idle since `time`: no request is in flight, no request body is incomplete, and no data has arrived since.
   * A connection with an incomplete request is not idle, and neither is an upgraded connection or one that speaks HTTP/2.
   */
  hasRestedSince(time: number): boolean {
    const isBetweenRequests = this.requests === 0 && this.#upload === undefined;
    return isBetweenRequests && this.#bytesRead - this.#bytesAtRest <= STRAY_BYTES && this.#restedAt <= time;
  }

  /** Tells the client with the response in flight not to send another request, unless its headers were already sent. */
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
 * Node closes the socket as soon as the response is sent. A client that is still sending its request would get a connection reset instead of the response.
 * With this function, the client can read the whole response, and the server reads the rest of the request first (RFC 9112, section 9.6).
 */
function hangUpAfter(request: IncomingMessage, socket: Socket): void {
  const hangUp = (): void => Socket.prototype.destroySoon.call(socket);
  socket.destroySoon = () => {
    if (request.complete) return hangUp();
    socket.end();
    request.once('end', hangUp);
    // Node reads the rest only if the application has not started to read. If the application has started and paused, nothing else may resume the request.
    if (request.listenerCount('data') === 0 || request.isPaused()) request.resume();
  };
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
}
