import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** An empty line between two requests is no begin of one (RFC 9112, section 2.2). */
const STRAY_BYTES = '\r\n'.length;

/** One connection of a server that speaks HTTP/1: what is in flight on it, and whether anything has come since. */
export class Connection {
  #restedAt: number;
  #bytesAtRest = 0;
  #requests = 0;
  #latest: ServerResponse | undefined;

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
    // What comes of its body is no part of the next request, also after an answer that has not waited for it.
    if (hasBody(request)) request.once('end', () => this.#notePart());
  }

  end(now: number): void {
    // None, where the request was there before its connection was watched.
    this.#requests = Math.max(0, this.#requests - 1);
    if (this.#requests > 0) return;
    this.#latest = undefined;
    this.#restedAt = now;
  }

  #notePart(): void {
    this.#bytesAtRest = this.socket.bytesRead;
  }

  /**
   * Nothing is in flight, and nothing has come since the last request: not so where one was sent in part, nor on an upgraded socket or one that speaks HTTP/2.
   */
  hasRestedSince(time: number): boolean {
    return this.#requests === 0 && this.socket.bytesRead - this.#bytesAtRest <= STRAY_BYTES && this.#restedAt <= time;
  }

  /** The client is told with the answer under way, where that is not too late, not to come again. */
  announceClose(): void {
    if (this.#latest !== undefined) this.announceCloseWith(this.#latest);
  }

  /** Decided when the head is written: a request that is pipelined behind this one would be lost, and so would be the answer to an upload that has not come to its end. */
  announceCloseWith(response: ServerResponse): void {
    if (response.headersSent) return;
    const writeHead = response.writeHead.bind(response) as (...head: unknown[]) => ServerResponse;
    response.writeHead = (...head: unknown[]) => {
      if (this.#latest !== response || isUploading(response.req)) return writeHead(...head);
      closeAfter(response);
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

function isUploading(request: IncomingMessage): boolean {
  return !request.complete && hasBody(request);
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
}
