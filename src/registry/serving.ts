import type { ProbeKind } from '../probe.js';

/** The paths that a kind is answered at, by kind. */
export type ServedPaths = Readonly<Record<ProbeKind, readonly string[]>>;

/** Options of the answers that matter to whoever asks for a probe. */
interface ServedAnswers {
  /** Who sees the reasons that are withheld from the public; `some`: those for whom the function of the application returns `true`. */
  readonly details: 'public' | 'all' | 'some';
  readonly format: 'auto' | 'text' | 'json';
}

/** `probeMiddleware()`. The port is that of the application's server. */
export interface MiddlewareAnswerer extends ServedAnswers {
  readonly by: 'middleware';
  readonly paths: ServedPaths;
}

/** `probeRouter()`. The paths include the router's own prefix. The prefix of another router in which it is mounted is not known. */
export interface RouterAnswerer extends ServedAnswers {
  readonly by: 'router';
  readonly paths: ServedPaths;
}

/** `probeView()`. The application mounts it at a path that is not known. */
export interface ViewAnswerer extends ServedAnswers {
  readonly by: 'view';
  readonly kind: ProbeKind;
}

/** `probeServer()`. It has either a port or a socket. */
export interface ServerAnswerer extends ServedAnswers {
  readonly by: 'server';
  readonly paths: ServedPaths;
  /** As it was given: 0 is a port that is free. */
  readonly port: number | undefined;
  /** Undefined: all addresses of the machine. */
  readonly host: string | undefined;
  /** Path of the UNIX socket. */
  readonly socket: string | undefined;
}

/** `probeHeartbeat()`. */
export interface HeartbeatAnswerer {
  readonly by: 'heartbeat';
  readonly directory: string;
  readonly intervalMs: number;
  /** Names of the files in the directory, by kind. */
  readonly files: Readonly<Record<ProbeKind, string>>;
}

export type ProbeAnswerer = MiddlewareAnswerer | RouterAnswerer | ViewAnswerer | ServerAnswerer | HeartbeatAnswerer;

/** A server that was given to `gracefulShutdown()`. Its address is undefined until it listens. */
export interface ServedServer {
  /** `h2c` is HTTP/2 without TLS; `http2` is HTTP/2 with TLS; `tcp` is a server that does not speak HTTP. */
  readonly protocol: 'http' | 'https' | 'h2c' | 'http2' | 'tcp';
  readonly port: number | undefined;
  readonly host: string | undefined;
  readonly socket: string | undefined;
}

/** How long a shutdown takes, in milliseconds. */
export interface ShutdownTimes {
  /** For how long new requests are still accepted. */
  readonly drainDelayMs: number;
  /** The whole shutdown, the delay included. */
  readonly timeoutMs: number;
}

/** `gracefulShutdown()`. */
export interface InstalledShutdown {
  readonly servers: readonly ServedServer[];
  readonly signals: readonly string[];
  /** The times of this process. */
  readonly here: ShutdownTimes;
  /** The times in a pod, with the grace period that the application was told, or 30 s. */
  readonly inKubernetes: ShutdownTimes;
  /** The options as they were given; undefined: the default, which depends on where the process runs. */
  readonly given: {
    readonly drainDelayMs: number | undefined;
    readonly timeoutMs: number | undefined;
    readonly terminationGracePeriodSeconds: number | undefined;
  };
}

/** How the probes of an application are answered, and how it shuts down. */
export interface ProbeServing {
  /** In the order in which they were set up. */
  readonly answerers: readonly ProbeAnswerer[];
  readonly shutdowns: readonly InstalledShutdown[];
}

/** What the functions that answer probes and end the process were called with. It is noted when they are called, so importing an application is enough to know it. */
export class ServingNotes {
  readonly #answerers = new Set<() => ProbeAnswerer>();
  readonly #shutdowns = new Set<() => InstalledShutdown>();

  /** A function, because some of it is known only later. What it returns takes the note back. */
  noteAnswerer(read: () => ProbeAnswerer): () => void {
    this.#answerers.add(read);
    return () => this.#answerers.delete(read);
  }

  noteShutdown(read: () => InstalledShutdown): () => void {
    this.#shutdowns.add(read);
    return () => this.#shutdowns.delete(read);
  }

  read(): ProbeServing {
    return freeze({
      answerers: Array.from(this.#answerers, (read) => read()),
      shutdowns: Array.from(this.#shutdowns, (read) => read()),
    });
  }
}

/** Copied, as some of it belongs to others: the options of the application, or a table of the library. */
function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return Object.freeze(value.map(freeze)) as T;
  return Object.freeze(Object.fromEntries(Object.entries(value).map(([name, one]) => [name, freeze(one)]))) as T;
}
