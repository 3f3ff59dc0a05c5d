import type { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';

/** An empty line between two requests is no begin of one (RFC 9112, section 2.2). */
const STRAY_BYTES = '\r\n'.length;

/** One connection of a server that speaks HTTP/1: what is in flight on it, and whether anything has come since. */
export class Connection {
  #restedAt: number;
  #bytesAtRest = 0;
  #requests = 0;
  #latest: ServerResponse | undefined;
  #upload: IncomingMessage | undefined;

  constructor(
    readonly socket: Socket,
    now: number,
  ) {
    this.#restedAt = now;
  }

  get requests(): number {
    return this.#requests;
  }

  begin(request: IncomingMessage, response: ServerResponse): void {
    this.#requests += 1;
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
    this.#requests = Math.max(0, this.#requests - 1);
    if (this.#requests > 0) return;
    this.#latest = undefined;
    this.#restedAt = now;
  }

  #notePart(): void {
    this.#bytesAtRest = this.#bytesRead;
  }

  /** A server takes any duplex stream for a connection, and not every one counts. */
  get #bytesRead(): number {
    return (this.socket as Partial<Socket>).bytesRead ?? 0;
  }

  /**
   * Nothing is in flight or still to come of a request that is answered, and nothing has come since: not so where one was sent in part, nor on an upgraded socket or one that speaks HTTP/2.
   */
  hasRestedSince(time: number): boolean {
    const isBetweenRequests = this.#requests === 0 && this.#upload === undefined;
    return isBetweenRequests && this.#bytesRead - this.#bytesAtRest <= STRAY_BYTES && this.#restedAt <= time;
  }

  /** The client is told with the answer under way, where that is not too late, not to come again. */
  announceClose(): void {
    if (this.#latest !== undefined) this.announceCloseWith(this.#latest);
  }

  /** Decided when the head is written: a request that is pipelined behind this one would be lost. */
  announceCloseWith(response: ServerResponse): void {
    if (response.headersSent) return;
    const writeHead = response.writeHead.bind(response) as (...head: unknown[]) => ServerResponse;
    response.writeHead = (...head: unknown[]) => {
      if (this.#latest !== response) return writeHead(...head);
      closeAfter(response);
      hangUpAfter(response.req, this.socket);
      const list = head.find((part): part is string[] => Array.isArray(part));
      if (list !== undefined) setEach(response, list);
      return writeHead(...head.filter((part) => part !== list));
    };
  }
}

/** Whatever the application says of the connection, as a proxy does that copies the headers of another server. */
function closeAfter(response: ServerResponse): void {
  response.setHeader('Connection', 'close');
  for (const method of ['setHeader', 'appendHeader', 'removeHeader'] as const) {
    const change = response[method].bind(response) as (name: string, ...value: unknown[]) => unknown;
    const changeOthers = (name: string, ...value: unknown[]) => (name.toLowerCase() === 'connection' ? response : change(name, ...value));
    Object.assign(response, { [method]: changeOthers });
  }
}

/** Once a header is set, `writeHead` of Node 20 keeps only the last of each name in a list. */
function setEach(response: ServerResponse, list: readonly string[]): void {
  for (let at = 0; at < list.length; at += 2) response.removeHeader(list[at] ?? '');
  for (let at = 0; at < list.length; at += 2) response.appendHeader(list[at] ?? '', list[at + 1] ?? '');
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
