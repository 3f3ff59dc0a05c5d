/** What a kind of probe is called, in the code, in a URL and in the folder of the heartbeat. */
export interface Target {
  readonly kind: 'liveness' | 'readiness' | 'startup';
  readonly path: string;
  readonly file: string;
}

/** Of a server, without user, query and fragment. */
export interface ServerUrl {
  readonly isSecure: boolean;
  /** A name or an address; one of IPv6 without its brackets. */
  readonly host: string;
  readonly port: number;
  /** Host and port as they are given. */
  readonly authority: string;
  /** What stands before the paths, without a slash at its end. */
  readonly prefix: string;
}

/** How the probes are reached. */
export type Way =
  | { readonly by: 'socket'; readonly path: string }
  | { readonly by: 'url'; readonly url: ServerUrl }
  | HeartbeatWay
  | { readonly by: 'app'; readonly module: string };

export interface HeartbeatWay {
  readonly by: 'heartbeat';
  /** Of one process, or a pattern of the directories of several. */
  readonly directory: string;
  /** How many of the processes must pass. Only with a pattern. */
  readonly min: number | undefined;
}

/** `quiet`: nothing on either stream; `verbose`: a line a check. */
export type Verbosity = 'quiet' | 'normal' | 'verbose';

/** What the command line asks for. */
export type Command = { readonly name: 'help' | 'version' } | ProbeCommand | ListCommand | OpenApiCommand | WordsCommand;

export interface ProbeCommand {
  readonly name: 'probe';
  readonly target: Target;
  readonly way: Way;
  readonly timeoutMs: number;
  readonly verbosity: Verbosity;
}

export interface ListCommand {
  readonly name: 'list';
  readonly module: string;
  readonly isJson: boolean;
  readonly timeoutMs: number;
}

export interface OpenApiCommand {
  readonly name: 'openapi';
  /** Paths of a kind, where they are not the defaults. */
  readonly paths: Partial<Readonly<Record<Target['kind'], readonly string[]>>>;
}

export interface WordsCommand {
  readonly name: 'manifest' | 'lint';
  /** Its own arguments, which it reads itself: the parser of `node:util` is too slow for a probe, and fast enough for a developer. */
  readonly words: readonly string[];
}

/** What came back, by whatever way: that of an HTTP answer. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** How the command ends. */
export interface Outcome {
  readonly code: 0 | 1 | 2;
  readonly text: string;
}
