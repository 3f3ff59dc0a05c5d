import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Server } from 'node:net';

const NO_ERROR = 0;

/** The notice of RFC 9113, section 6.8, that comes before the last word: every stream that is under way is still served. */
const ALL_STREAMS = 2 ** 31 - 1;

/** The sessions of those of the servers that speak HTTP/2. */
export class Http2Sessions {
  /** Streams in flight. */
  streams = 0;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #told = new WeakSet<ServerHttp2Session>();
  #isAnnounced = false;

  constructor(private readonly servers: readonly Server[]) {
    for (const server of servers) server.on('session', this.#watch).on('stream', this.#onStream);
  }

  unwatch(): void {
    for (const server of this.servers) server.off('session', this.#watch).off('stream', this.#onStream);
    this.#sessions.clear();
  }

  /** Clients are told to open no more streams here. A session that is new is told after its first: it would never have served one. */
  announceClose(): void {
    this.#isAnnounced = true;
    for (const session of this.#sessions) this.#tell(session);
  }

  /** Streams that are open come to their end, and none is opened any more. */
  close(): void {
    for (const session of this.#sessions) if (!session.closed) session.close();
  }

  readonly #watch = (session: ServerHttp2Session): void => {
    if (this.#sessions.has(session)) return;
    this.#sessions.add(session);
    session.once('close', () => this.#sessions.delete(session));
  };

  readonly #onStream = (stream: ServerHttp2Stream): void => {
    const session = stream.session as ServerHttp2Session | undefined;
    // It may have been there before it was watched.
    if (session !== undefined) this.#watch(session);
    this.streams += 1;
    stream.once('close', () => {
      this.streams -= 1;
      if (this.#isAnnounced && session !== undefined) this.#tell(session);
    });
  };

  #tell(session: ServerHttp2Session): void {
    if (session.closed || session.destroyed || this.#told.has(session)) return;
    this.#told.add(session);
    session.goaway(NO_ERROR, ALL_STREAMS);
  }
}
