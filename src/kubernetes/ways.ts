import { dirname, isAbsolute } from 'node:path/posix';
import { ConfigurationError } from '../errors.js';
import type { ProbeKind } from '../probe.js';
import { show } from '../validation.js';
import type { ProbeAnswerer, ProbeServing, ServedServer, ServerAnswerer } from '../registry/serving.js';

/** The kubelet sends a request to the address of the pod. */
export interface HttpWay {
  readonly by: 'http';
  readonly path: string;
  readonly port: number;
  readonly isSecure: boolean;
  /** The path is that of a router, and the prefix at which this is mounted is not known. */
  readonly lacksPrefix: boolean;
}

/** The kubelet starts the command of this package in the container. */
export interface ExecWay {
  readonly by: 'exec';
  /** Arguments of `koa-probes probe`, without its timeout. */
  readonly words: readonly string[];
  /** The directory of the socket or of the files, which both sides need. */
  readonly directory: string | undefined;
  /** Whether the answer waits for the checks. */
  readonly waitsForChecks: boolean;
}

export type Way = HttpWay | ExecWay;

export interface WayOptions {
  /** Only commands. */
  readonly isExec: boolean;
  /** Path of a socket that the application does not tell. */
  readonly socket: string | undefined;
  /** Directory of heartbeats that the application does not tell. */
  readonly heartbeat: string | undefined;
  /** Port of the application's own server. */
  readonly port: number | undefined;
}

/** The flag of the command for a kind, and the path that it asks for: those are the default ones. */
const COMMANDS: Readonly<Record<ProbeKind, { readonly flag: string; readonly path: string }>> = {
  liveness: { flag: '--live', path: '/livez' },
  readiness: { flag: '--ready', path: '/readyz' },
  startup: { flag: '--startup', path: '/startupz' },
};

/**
 * How the kubelet asks for a kind. A management port is preferred to the application's own, since it answers until the process ends; an HTTP request to a command; and a socket to a heartbeat, since it tells what is so now.
 *
 * @throws ConfigurationError if nothing that is known answers the kind.
 */
export function chooseWay(serving: ProbeServing, kind: ProbeKind, options: WayOptions): Way {
  if (options.socket !== undefined) return askSocket(kind, options.socket);
  if (options.heartbeat !== undefined) return readHeartbeat(kind, options.heartbeat);
  const way = options.isExec ? undefined : (findPort(serving, kind) ?? findOwnServer(serving, kind, options.port));
  const found = way ?? findCommand(serving, kind) ?? findUrl(serving, kind, options.port);
  if (found !== undefined) return found;
  throw new ConfigurationError(explainNoWay(serving, kind, options));
}

function findPort({ answerers }: ProbeServing, kind: ProbeKind): Way | undefined {
  const server = answerers.filter(isServer).find((one) => !!one.port && !isLoopback(one.host) && one.paths[kind].length > 0);
  if (server?.port === undefined) return undefined;
  const [path = ''] = server.paths[kind];
  return { by: 'http', path, port: server.port, isSecure: false, lacksPrefix: false };
}

function findOwnServer(serving: ProbeServing, kind: ProbeKind, givenPort: number | undefined): Way | undefined {
  const answerer = findOwnAnswerer(serving, kind);
  const server = findServer(serving);
  const port = givenPort ?? server?.port;
  if (answerer === undefined || port === undefined || isLoopback(server?.host) || server?.protocol === 'h2c') return undefined;
  const [path = ''] = answerer.paths[kind];
  return { by: 'http', path, port, isSecure: isSecure(server), lacksPrefix: answerer.by === 'router' };
}

function findCommand({ answerers }: ProbeServing, kind: ProbeKind): Way | undefined {
  const onSocket = answerers
    .filter(isServer)
    .find(({ socket, paths }) => socket !== undefined && paths[kind].includes(COMMANDS[kind].path));
  if (onSocket?.socket !== undefined) return askSocket(kind, onSocket.socket);
  const heartbeat = answerers.find(({ by }) => by === 'heartbeat');
  return heartbeat?.by === 'heartbeat' ? readHeartbeat(kind, heartbeat.directory) : undefined;
}

/** From within the pod, the loopback address will do. */
function findUrl(serving: ProbeServing, kind: ProbeKind, givenPort: number | undefined): Way | undefined {
  const management = serving.answerers.filter(isServer).find(({ port }) => !!port);
  if (management?.port !== undefined) return askUrl(kind, 'http', management.port, management.paths[kind]);
  const server = findServer(serving);
  const answerer = findOwnAnswerer(serving, kind);
  const port = givenPort ?? server?.port;
  if (answerer === undefined || port === undefined || server?.protocol === 'h2c' || server?.protocol === 'http2') return undefined;
  return askUrl(kind, isSecure(server) ? 'https' : 'http', port, answerer.paths[kind]);
}

function askSocket(kind: ProbeKind, socket: string): ExecWay {
  checkAbsolute('the socket', socket, '--socket /run/app/probes.sock');
  return { by: 'exec', words: [COMMANDS[kind].flag, '--socket', socket], directory: dirname(socket), waitsForChecks: true };
}

function readHeartbeat(kind: ProbeKind, directory: string): ExecWay {
  checkAbsolute('the heartbeat', directory, '--heartbeat /run/app');
  return { by: 'exec', words: [COMMANDS[kind].flag, '--heartbeat', directory], directory, waitsForChecks: false };
}

/** The kubelet starts the command in the working directory of the image, and a volume has an absolute path. */
function checkAbsolute(what: string, path: string, cure: string): void {
  if (isAbsolute(path)) return;
  throw new ConfigurationError(
    `The path of ${what} is ${show(path)}, relative to the working directory. Give an absolute one in the code, or say where it is in the container: \`${cure}\`.`,
  );
}

/** The command asks for the default paths, behind a prefix. */
function askUrl(kind: ProbeKind, scheme: string, port: number, paths: readonly string[]): ExecWay | undefined {
  const { flag, path } = COMMANDS[kind];
  const whole = paths.find((one) => one.endsWith(path));
  if (whole === undefined) return undefined;
  const url = `${scheme}://127.0.0.1:${String(port)}${whole.slice(0, -path.length)}`;
  return { by: 'exec', words: [flag, '--url', url], directory: undefined, waitsForChecks: true };
}

function findOwnAnswerer({ answerers }: ProbeServing, kind: ProbeKind) {
  const own = answerers.filter((one) => (one.by === 'middleware' || one.by === 'router') && one.paths[kind].length > 0);
  const found = own.find(({ by }) => by === 'middleware') ?? own[0];
  return found?.by === 'middleware' || found?.by === 'router' ? found : undefined;
}

/** Of the servers that the shutdown closes, the first one that the kubelet can talk to. */
function findServer({ shutdowns }: ProbeServing): ServedServer | undefined {
  const servers = shutdowns.flatMap((shutdown) => shutdown.servers).filter(({ protocol }) => protocol !== 'tcp');
  return servers.find(({ protocol, port, host }) => protocol !== 'h2c' && port !== undefined && !isLoopback(host)) ?? servers[0];
}

function explainNoWay(serving: ProbeServing, kind: ProbeKind, { port, isExec }: WayOptions): string {
  const server = findServer(serving);
  const subject = `Nothing is known that answers ${kind} probes`;
  if (findOwnAnswerer(serving, kind) === undefined) {
    if (serving.answerers.some(({ by }) => by === 'view'))
      return `${subject}: probeView() is mounted at a path that the registry is not told. Call probeMiddleware(probes), or write the probe by hand.`;
    if (serving.answerers.some((one) => one.by === 'server' && one.port === 0))
      return `${subject}: \`port\` of probeServer() is 0, which takes another port at each start. Choose one, 9090 for example.`;
    return `${subject}: the module calls none of probeMiddleware(), probeRouter(), probeServer() and probeHeartbeat(). Name a module with \`--app\` that does, or say where the probes are by \`--socket\` or \`--heartbeat\`.`;
  }
  if (server?.protocol === 'h2c')
    return `The kubelet cannot ask for ${kind} probes: the application's server speaks HTTP/2 without TLS. Call \`await probeServer(probes, { port: 9090 })\`.`;
  if ((port ?? server?.port) === undefined)
    return `The port of the application is not known: its server takes a free one, or does not listen when the module is imported. Say it: \`--port 3000\`.`;
  const cure = 'Call `await probeServer(probes, { port: 9090 })`.';
  if (isExec) return `The command asks for the default path of ${kind} probes, and the application answers at another one. ${cure}`;
  return `The kubelet does not reach the application's server, which listens on ${String(server?.host)} alone. ${cure}`;
}

function isServer(answerer: ProbeAnswerer): answerer is ServerAnswerer {
  return answerer.by === 'server';
}

function isSecure(server: ServedServer | undefined): boolean {
  return server?.protocol === 'https' || server?.protocol === 'http2';
}

/** The kubelet asks at the address of the pod. */
function isLoopback(host: string | undefined): boolean {
  return host !== undefined && (host === 'localhost' || host === '::1' || host.startsWith('127.'));
}
