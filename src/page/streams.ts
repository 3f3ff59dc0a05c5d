import type { ServerResponse } from 'node:http';
import type { Fragments } from './render.js';
import type { Viewer } from './view.js';

/** More open pages than this are a mistake or an attack. */
const MOST_STREAMS = 1_000;
/** A browser that does not read is let go before it fills the memory. */
const MOST_UNSENT_BYTES = 2_000_000;
/** The page says that the other side is silent after 12 s. */
const BEAT_EVERY_MS = 5_000;
/** How long a browser waits before it connects again, in milliseconds. */
const RETRY_MS = 1_000;

const HEADERS = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-store, no-transform',
  'X-Content-Type-Options': 'nosniff',
  // nginx would keep the events back.
  'X-Accel-Buffering': 'no',
};

/** Those who see the same. */
interface Audience {
  readonly viewer: Viewer;
  readonly responses: Set<ServerResponse>;
  /** The parts that all of them have. */
  parts: Fragments;
}

/** The event streams of all open pages. They keep neither the process nor a shutdown waiting. */
export class Streams {
  readonly #audiences = new Map<string, Audience>();
  #beat: NodeJS.Timeout | undefined;

  get isEmpty(): boolean {
    return this.#audiences.size === 0;
  }

  /** Whether there was room for it. */
  add(response: ServerResponse, viewer: Viewer, parts: Fragments): boolean {
    if (this.#count() >= MOST_STREAMS) return false;
    const key = `${viewer.audience} ${String(viewer.mayAct)}`;
    const audience = this.#audiences.get(key) ?? { viewer, responses: new Set(), parts };
    this.#audiences.set(key, audience);
    audience.responses.add(response);
    response.once('close', () => this.#remove(key, response));
    response.writeHead(200, HEADERS);
    response.write(`retry: ${String(RETRY_MS)}\n\n`);
    this.#beat ??= setInterval(() => this.#toAll('event: beat\ndata: {}\n\n'), BEAT_EVERY_MS).unref();
    return true;
  }

  send(response: ServerResponse, event: string, data: object): void {
    write(response, messageOf(event, data));
  }

  /** `makeNews` is called once for all who see the same. */
  broadcast(makeNews: (viewer: Viewer, known: Fragments) => { readonly news: object | undefined; readonly parts: Fragments }): void {
    for (const audience of this.#audiences.values()) {
      const { news, parts } = makeNews(audience.viewer, audience.parts);
      audience.parts = parts;
      if (news === undefined) continue;
      const message = messageOf('update', news);
      for (const response of audience.responses) write(response, message);
    }
  }

  /** Ends all of them, and tells the browsers that this is the end. */
  end(): void {
    this.#toAll(messageOf('end', {}));
    for (const { responses } of this.#audiences.values()) for (const response of responses) response.end();
  }

  #toAll(message: string): void {
    for (const { responses } of this.#audiences.values()) for (const response of responses) write(response, message);
  }

  #count(): number {
    return Array.from(this.#audiences.values(), ({ responses }) => responses.size).reduce((sum, size) => sum + size, 0);
  }

  #remove(key: string, response: ServerResponse): void {
    const audience = this.#audiences.get(key);
    audience?.responses.delete(response);
    if (audience?.responses.size === 0) this.#audiences.delete(key);
    if (!this.isEmpty) return;
    clearInterval(this.#beat);
    this.#beat = undefined;
  }
}

function messageOf(event: string, data: object): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

function write(response: ServerResponse, message: string): void {
  if (response.writableEnded || response.destroyed) return;
  if (response.writableLength > MOST_UNSENT_BYTES) response.destroy();
  else response.write(message);
}
