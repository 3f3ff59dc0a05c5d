import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

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

  begin(response: ServerResponse): void {
    this.#requests += 1;
    this.#latest = response;
  }

  end(now: number): void {
    // None, where the request was there before its connection was watched.
    this.#requests = Math.max(0, this.#requests - 1);
    if (this.#requests > 0) return;
    this.#latest = undefined;
    this.#bytesAtRest = this.socket.bytesRead;
    this.#restedAt = now;
  }

  /**
   * Nothing is in flight, and not a byte has come since the last answer: not so where a request was sent in part, nor on an upgraded socket or one that speaks HTTP/2.
   */
  hasRestedSince(time: number): boolean {
    return this.#requests === 0 && this.socket.bytesRead === this.#bytesAtRest && this.#restedAt <= time;
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
      if (this.#latest === response) closeAfter(response);
      return writeHead(...head);
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
  // Where all headers were removed, as Koa does for an error, this stands.
  response.shouldKeepAlive = false;
}
