import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Server } from 'node:net';
import { performance } from 'node:perf_hooks';

const NO_ERROR = 0;

/**
 * Makes the GOAWAY frame name the last stream that Node has accepted. Node drops every later stream, no matter which stream the frame names.
 * With the right number, the client knows which streams were dropped and repeats them on another connection at once (RFC 9113, section 6.8).
 */
const LAST_TAKEN = 0;

interface Streams {
  /** Streams in flight, with the time when each began. */
  readonly requests: Map<ServerHttp2Stream, number>;
  /** CONNECT streams, for example WebSockets. They do not count as requests, because they may never end. */
  readonly tunnels: Set<ServerHttp2Stream>;
}

/** The HTTP/2 sessions of the servers. */
export class Http2Sessions {
  readonly #sessions = new Map<ServerHttp2Session, Streams>();
  readonly #told = new WeakSet<ServerHttp2Session>();
  #isAnnounced = false;

  constructor(private readonly servers: readonly Server[]) {
    for (const server of servers) server.on('session', this.#watch).on('stream', this.#onStream);
  }

  unwatch(): void {
    for (const server of this.servers) server.off('session', this.#watch).off('stream', this.#onStream);
    this.#sessions.clear();
  }

  /** Counts streams in flight that began before `time`. */
  countRequestsBefore(time = Infinity): number {
    let count = 0;
    for (const { requests } of this.#sessions.values()) for (const begunAt of requests.values()) if (begunAt < time) count += 1;
    return count;
  }

  /** Sessions that have only tunnels. */
  get upgraded(): ServerHttp2Session[] {
    return Array.from(this.#sessions)
      .filter(([, { requests, tunnels }]) => requests.size === 0 && tunnels.size > 0)
      .map(([session]) => session);
  }

  /** Tells clients to open no more streams on their session. A new session is told after its first stream, because otherwise it could not serve any. */
  announceClose(): void {
    this.#isAnnounced = true;
    for (const session of this.#sessions.keys()) this.#tell(session);
  }

  /** Lets open streams finish and allows no new ones. */
  close(): void {
    for (const session of this.#sessions.keys()) if (!session.closed) session.close();
  }

  endTunnels(): void {
    for (const { tunnels } of this.#sessions.values()) for (const stream of tunnels) stream.end();
  }

  readonly #watch = (session: ServerHttp2Session): Streams => {
    const known = this.#sessions.get(session);
    if (known !== undefined) return known;
    const streams: Streams = { requests: new Map(), tunnels: new Set() };
    this.#sessions.set(session, streams);
    session.once('close', () => this.#sessions.delete(session));
    return streams;
  };

  readonly #onStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void => {
    const session = stream.session as ServerHttp2Session | undefined;
    if (session === undefined) return;
    // The session may be older than this shutdown, so it is tracked now.
    const { requests, tunnels } = this.#watch(session);
    if (headers[':method'] === 'CONNECT') tunnels.add(stream);
    else requests.set(stream, performance.now());
    stream.once('close', () => {
      tunnels.delete(stream);
      requests.delete(stream);
      if (this.#isAnnounced) this.#tell(session);
    });
  };

  #tell(session: ServerHttp2Session): void {
    if (session.closed || session.destroyed || this.#told.has(session)) return;
    this.#told.add(session);
    session.goaway(NO_ERROR, LAST_TAKEN);
  }
}
