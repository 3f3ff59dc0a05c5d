/** A kind of probe: its name, its path, and its file in the heartbeat directory. */
export interface Target {
  readonly kind: 'liveness' | 'readiness' | 'startup';
  readonly path: string;
  readonly file: string;
}

/** The URL of a server, without user, query and fragment. */
export interface ServerUrl {
  readonly isSecure: boolean;
  /** A host name or an address. IPv6 addresses have no brackets. */
  readonly host: string;
  readonly port: number;
  /** Host and port as they were given. */
  readonly authority: string;
  /** The prefix of the paths, without a slash at the end. */
  readonly prefix: string;
}

/** How the command reaches the probes. */
export type Way =
  | { readonly by: 'socket'; readonly path: string }
  | { readonly by: 'url'; readonly url: ServerUrl }
  | HeartbeatWay
  | { readonly by: 'app'; readonly module: string };

export interface HeartbeatWay {
  readonly by: 'heartbeat';
  /** The directory of one process, or a pattern for the directories of several processes. */
  readonly directory: string;
  /** How many of the processes must pass. Set only with a pattern. */
  readonly min: number | undefined;
}

/** `quiet` prints nothing. `verbose` prints a line for each check. */
export type Verbosity = 'quiet' | 'normal' | 'verbose';

/** A parsed command line. */
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
  /** The paths of each kind that does not use the defaults. */
  readonly paths: Partial<Readonly<Record<Target['kind'], readonly string[]>>>;
}

export interface WordsCommand {
  readonly name: 'manifest' | 'lint';
  /** The arguments of the command. It parses them with `node:util`, which is too slow for a probe but fast enough for a developer. */
  readonly words: readonly string[];
}

/** A result in the form of an HTTP response, no matter how the probes were reached. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** The exit code and the output of the command. */
export interface Outcome {
  /** Whether the text is what was asked for, and belongs on the standard output whatever the code. */
  readonly isResult?: boolean;
  readonly code: 0 | 1 | 2;
  readonly text: string;
}
