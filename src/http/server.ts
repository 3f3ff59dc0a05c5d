import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { ConfigurationError, describeError } from '../errors.js';
import { isInspected } from '../registry/inspection.js';
import { markAsAnswered } from './answered.js';
import { plainAnswer, type ProbeAnswer } from './endpoint.js';
import { createUrlMatcher, type PathOptions, type ProbeTarget } from './paths.js';
import { explainSocket, listenOnSocket } from './socket-file.js';

/** Where a server listens: on a port, or on a UNIX socket. */
export interface ServerAddress {
  readonly port?: number | undefined;
  readonly host?: string | undefined;
  readonly socket?: string | undefined;
}

/** Answers requests that are not for the probes. `handle` returns whether it answers this one. */
export interface RequestHandler {
  handle(request: IncomingMessage, response: ServerResponse): boolean;
}

/** What a server answers beside the probes. */
export interface ProbeServerParts {
  readonly paths?: PathOptions | undefined;
  readonly page?: RequestHandler | undefined;
}

/** A client that takes longer to send its request is no prober. Node looks for them at intervals. */
const SLOW_CLIENT_LIMITS = { requestTimeout: 5_000, headersTimeout: 5_000, connectionsCheckingInterval: 1_000 };

/** How long answers under way have to be sent after the server was closed. */
const CLOSE_GRACE_MS = 100;

/** A server that answers by itself what is no request for a probe, and hands on what is one. */
export function createProbeServer(
  { paths, page }: ProbeServerParts,
  onProbe: (target: ProbeTarget, request: IncomingMessage, response: ServerResponse) => void,
): Server {
  const matchUrl = createUrlMatcher(paths);
  return createServer(SLOW_CLIENT_LIMITS, (request, response) => {
    const target = matchUrl(request.url ?? '');
    if (target === undefined) {
      if (page?.handle(request, response) !== true) sendAnswer(response, plainAnswer(404, 'not found'));
      return;
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      return sendAnswer(response, plainAnswer(405, 'method not allowed'));
    }
    onProbe(target, request, response);
  });
}

/** Every connection serves one request, as with the kubelet: none is left idle when the server closes. */
export function sendAnswer(response: ServerResponse, { status, headers, body }: ProbeAnswer): void {
  markAsAnswered(response);
  response.writeHead(status, { ...headers, Connection: 'close' });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}

/** @throws ConfigurationError if it cannot listen there. */
export async function listen(server: Server, { port, host, socket }: ServerAddress): Promise<void> {
  try {
    if (socket !== undefined && !isInspected()) return await listenOnSocket(server, socket);
    const listening = once(server, 'listening');
    // A command that only reads how the application is set up holds the server: no file is made.
    server.listen(socket === undefined ? { port, host } : { path: socket });
    await listening;
  } catch (error) {
    if (ConfigurationError.is(error)) throw error;
    const address = socket ?? `port ${String(port)}${host === undefined ? '' : ` of ${host}`}`;
    const problem = (socket === undefined ? explainPort(error, host) : explainSocket(error, socket)) ?? describeError(error);
    throw new ConfigurationError(`probeServer() cannot listen on ${address}: ${problem}`, { cause: error });
  }
}

function explainPort(error: unknown, host: string | undefined): string | undefined {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE') return `${describeError(error)}. Free it, or choose another.`;
  if (code === 'EACCES') return `${code}: this process is not permitted to. Choose a port from 1024 on.`;
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return `${code}: ${host ?? 'the host'} is no address of this machine. Choose one that it has, or leave \`host\` out.`;
  }
  return undefined;
}

export function closeServer(server: Server): void {
  server.close();
  // A connection that never sends its request would otherwise keep the process alive.
  setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS).unref();
}
