import type { ProbeKind } from '../probe.js';

/** The paths of each kind. */
export type ServedPaths = Readonly<Record<ProbeKind, readonly string[]>>;

/** Options of the responses that matter to clients. */
interface ServedAnswers {
  /** Who sees the withheld reasons: nobody (`public`), everybody (`all`), or the requests for which the function of the application returns `true` (`some`). */
  readonly details: 'public' | 'all' | 'some';
  readonly format: 'auto' | 'text' | 'json';
}

/** A `probeMiddleware()`. It uses the port of the application's server. */
export interface MiddlewareAnswerer extends ServedAnswers {
  readonly by: 'middleware';
  readonly paths: ServedPaths;
}

/** A `probeRouter()`. Its paths include the prefix of the router. The prefix of an outer router is not known. */
export interface RouterAnswerer extends ServedAnswers {
  readonly by: 'router';
  readonly paths: ServedPaths;
}

/** A `probeView()`. Its path is not known, because the application mounts it. */
export interface ViewAnswerer extends ServedAnswers {
  readonly by: 'view';
  readonly kind: ProbeKind;
}

/** A `probeServer()`. It has either a port or a socket. */
export interface ServerAnswerer extends ServedAnswers {
  readonly by: 'server';
  readonly paths: ServedPaths;
  /** The port as it was given. 0 means any free port. */
  readonly port: number | undefined;
  /** Undefined means all addresses of the machine. */
  readonly host: string | undefined;
  /** Path of the UNIX socket. */
  readonly socket: string | undefined;
}

/** A `probeHeartbeat()`. */
export interface HeartbeatAnswerer {
  readonly by: 'heartbeat';
  readonly directory: string;
  readonly intervalMs: number;
  /** Names of the files in the directory, by kind. */
  readonly files: Readonly<Record<ProbeKind, string>>;
}

export type ProbeAnswerer = MiddlewareAnswerer | RouterAnswerer | ViewAnswerer | ServerAnswerer | HeartbeatAnswerer;

/** A server of `gracefulShutdown()`. Its address is undefined until it listens. */
export interface ServedServer {
  /** `h2c` is HTTP/2 without TLS; `http2` is HTTP/2 with TLS; `tcp` is a server that does not speak HTTP. */
  readonly protocol: 'http' | 'https' | 'h2c' | 'http2' | 'tcp';
  readonly port: number | undefined;
  readonly host: string | undefined;
  readonly socket: string | undefined;
}

/** The times of a shutdown, in milliseconds. */
export interface ShutdownTimes {
  /** How long new requests are still accepted. */
  readonly drainDelayMs: number;
  /** Deadline of the whole shutdown, including the delay. */
  readonly timeoutMs: number;
}

/** A `gracefulShutdown()`. */
export interface InstalledShutdown {
  readonly servers: readonly ServedServer[];
  readonly signals: readonly string[];
  /** The times of this process. */
  readonly here: ShutdownTimes;
  /** The times in a pod, with the grace period that the application has set, or 30 s. */
  readonly inKubernetes: ShutdownTimes;
  /** The options as they were given. Undefined means the default, which depends on where the process runs. */
  readonly given: {
    readonly drainDelayMs: number | undefined;
    readonly timeoutMs: number | undefined;
    readonly terminationGracePeriodSeconds: number | undefined;
  };
}

/** How the probes of an application are answered, and how it shuts down. */
export interface ProbeServing {
  /** The answerers in the order of their creation. */
  readonly answerers: readonly ProbeAnswerer[];
  readonly shutdowns: readonly InstalledShutdown[];
}

/** Collects the settings of the functions that answer probes and shut down the process. They are noted when these functions are called, so it is enough to import an application. */
export class ServingNotes {
  readonly #answerers = new Set<() => ProbeAnswerer>();
  readonly #shutdowns = new Set<() => InstalledShutdown>();

  /** Adds a note. It is a function, because some values are known only later. The returned function removes the note. */
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

/** Copies the value first, because parts of it belong to others: the options of the application, or a table of the library. */
function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return Object.freeze(value.map(freeze)) as T;
  return Object.freeze(Object.fromEntries(Object.entries(value).map(([name, one]) => [name, freeze(one)]))) as T;
}
