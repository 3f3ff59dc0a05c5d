import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { ConfigurationError, describeError } from '../errors.js';
import { isInspected } from '../registry/inspection.js';
import type { ProbeRegistry } from '../registry/registry.js';
import { rejectUnknownOptions, show } from '../validation.js';
import { createAnswerer, ENDPOINT_OPTION_NAMES, plainAnswer, type EndpointOptions, type ProbeAnswer } from './endpoint.js';
import { markAsAnswered } from './answered.js';
import { summariseAnswers } from './answer-options.js';
import { createHangUpLog } from './hang-ups.js';
import { createUrlMatcher, groupPaths } from './paths.js';
import { explainSocket, listenOnSocket } from './socket-file.js';

export interface ProbeServerOptions extends EndpointOptions<IncomingMessage> {
  /** TCP port, 0 to 65535; 0 takes a free one. Either this or `socket`. */
  port?: number | undefined;
  /**
   * Address to listen on.
   * @default all of IPv6 and IPv4
   */
  host?: string | undefined;
  /** Path of a UNIX socket, for the user of this process alone. The file that a dead process has left is replaced. Either this or `port`. */
  socket?: string | undefined;
  /**
   * The status page, `statusPage(probes, …)` of `koa-probes/page`.
   * @default none
   */
  page?: RequestHandler | undefined;
}

/** Answers requests that are not for the probes. `handle` returns whether it answers this one. */
export interface RequestHandler {
  handle(request: IncomingMessage, response: ServerResponse): boolean;
}

/** A client that takes longer to send its request is no prober. Node looks for them at intervals. */
const SLOW_CLIENT_LIMITS = { requestTimeout: 5_000, headersTimeout: 5_000, connectionsCheckingInterval: 1_000 };

/** How long answers under way have to be sent after the registry was closed. */
const CLOSE_GRACE_MS = 100;

/**
 * A server for the probes alone, on a management port or a UNIX socket: for a worker without HTTP, or to keep the probes from the public.
 * Resolves when it listens. It is closed with the registry, or by its own `close()`.
 *
 * @throws ConfigurationError where it cannot listen, or an option is out of its range.
 */
export async function probeServer(probes: ProbeRegistry, options: ProbeServerOptions): Promise<Server> {
  rejectUnknownOptions('probeServer()', options, ['port', 'host', 'socket', 'page', ...ENDPOINT_OPTION_NAMES]);
  checkAddress(options);
  checkPage(options.page);
  const matchUrl = createUrlMatcher(options.paths);
  const answer = createAnswerer('probeServer()', probes, options);
  const noteDelivery = createHangUpLog(probes);

  const server = createServer(SLOW_CLIENT_LIMITS, (request, response) => {
    const target = matchUrl(request.url ?? '');
    if (target === undefined) {
      if (options.page?.handle(request, response) !== true) write(response, plainAnswer(404, 'not found'));
      return;
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      return write(response, plainAnswer(405, 'method not allowed'));
    }
    const deliver = (answered: ProbeAnswer) => {
      noteDelivery(target.kind, response);
      write(response, answered);
    };
    // An answer that cannot be made is no reason to end the process.
    answer(target, request.headers.accept, request).then(deliver, () => write(response, plainAnswer(503, 'the answer could not be made')));
  });
  const { port, host, socket } = options;
  const answerer = { by: 'server' as const, port, host, socket, paths: groupPaths(options.paths), ...summariseAnswers(options) };
  const takeNoteBack = probes.servingNotes.noteAnswerer(() => answerer);
  try {
    await listen(server, options);
  } catch (error) {
    takeNoteBack();
    throw error;
  }
  const close = () => closeServer(server);
  probes.lifecycle.lastingAnswerers.add(server);
  server.once('close', () => {
    takeNoteBack();
    probes.lifecycle.lastingAnswerers.delete(server);
    probes.off('close', close);
  });
  if (probes.isClosed) {
    close();
    throw new ConfigurationError('probeServer() cannot answer for a registry that is closed. Call it before probes.close().');
  }
  probes.once('close', close);
  return server;
}

function checkAddress({ port, host, socket }: ProbeServerOptions): void {
  if ((port === undefined) === (socket === undefined)) {
    throw new ConfigurationError(
      "probeServer() needs one of `port` and `socket`: `{ port: 9090 }` or `{ socket: '/run/app/probes.sock' }`.",
    );
  }
  if (port !== undefined && (!Number.isInteger(port) || port < 0 || port > 65_535)) {
    throw new ConfigurationError(`Expected \`port\` of probeServer() to be a whole number from 0 to 65535, got ${show(port)}.`);
  }
  if (socket !== undefined && (typeof socket !== 'string' || socket === '')) {
    throw new ConfigurationError(`Expected \`socket\` of probeServer() to be a path, got ${show(socket)}.`);
  }
  if (host !== undefined && (socket !== undefined || typeof host !== 'string' || host === '')) {
    throw new ConfigurationError(`Expected \`host\` of probeServer() to be an address beside a \`port\`, got ${show(host)}.`);
  }
}

function checkPage(page: Partial<RequestHandler> | null | undefined): void {
  if (page === undefined || typeof page?.handle === 'function') return;
  throw new ConfigurationError(
    `Expected \`page\` of probeServer() to be a status page, got ${show(page)}. Make it with \`statusPage(probes)\` from koa-probes/page.`,
  );
}

async function listen(server: Server, { port, host, socket }: ProbeServerOptions): Promise<void> {
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

function closeServer(server: Server): void {
  server.close();
  // A connection that never sends its request would otherwise keep the process alive.
  setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS).unref();
}

/** Every connection serves one request, as with the kubelet: none is left idle when the server closes. */
function write(response: ServerResponse, { status, headers, body }: ProbeAnswer): void {
  markAsAnswered(response);
  response.writeHead(status, { ...headers, Connection: 'close' });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}
