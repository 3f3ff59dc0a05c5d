import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { ConfigurationError, describeError } from '../errors.js';
import type { ProbeRegistry } from '../registry.js';
import { rejectUnknownOptions, show } from '../validation.js';
import { ANSWER_OPTION_NAMES, createAnswerer, type AnswerOptions } from './endpoint.js';
import { matchUrl, resolvePaths, type PathOptions } from './paths.js';

export interface ProbeServerOptions extends AnswerOptions<IncomingMessage> {
  /** TCP port, 0 to 65535; 0 takes a free one. Either this or `socket`. */
  port?: number | undefined;
  /**
   * Address to listen on.
   * @default all of IPv6 and IPv4
   */
  host?: string | undefined;
  /** Path of a UNIX socket. Either this or `port`. */
  socket?: string | undefined;
  /**
   * Paths by kind, each a string or a list. Those of a kind replace its defaults.
   * @default { liveness: ['/livez', '/healthz'], readiness: '/readyz', startup: '/startupz' }
   */
  paths?: PathOptions | undefined;
}

/** A client that is slower than this to send its request is no prober. */
const REQUEST_TIMEOUT_MS = 5_000;

/** How long answers under way have to be sent after the registry was closed. */
const CLOSE_GRACE_MS = 100;

/**
 * A server for the probes alone, on a management port or a UNIX socket: for a worker without HTTP, or to keep the probes from the public.
 * Resolves when it listens. It is closed with the registry, or by its own `close()`.
 *
 * @throws ConfigurationError where it cannot listen, or an option is out of its range.
 */
export async function probeServer(probes: ProbeRegistry, options: ProbeServerOptions): Promise<Server> {
  rejectUnknownOptions('probeServer()', options, ['port', 'host', 'socket', 'paths', ...ANSWER_OPTION_NAMES]);
  checkAddress(options);
  const routes = resolvePaths(options.paths);
  const answer = createAnswerer('probeServer()', probes, options);

  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    const target = matchUrl(routes, request.url ?? '');
    if (target === undefined) return refuse(response, 404, 'not found');
    if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405, 'method not allowed', { Allow: 'GET, HEAD' });
    void answer(target, request.headers.accept, request).then(({ status, headers, body }) => write(response, status, headers, body));
  });
  await listen(server, options);
  const close = () => closeServer(server);
  probes.once('close', close);
  server.once('close', () => probes.off('close', close));
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

async function listen(server: Server, { port, host, socket }: ProbeServerOptions): Promise<void> {
  const address = socket === undefined ? { port, host } : { path: socket };
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(address, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (error) {
    throw new ConfigurationError(
      `probeServer() cannot listen on ${socket ?? `port ${String(port)}`}: ${describeError(error)}. Free it, or choose another.`,
      { cause: error },
    );
  }
}

function closeServer(server: Server): void {
  server.close();
  // A connection that never sends its request would otherwise keep the process alive.
  setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS).unref();
}

function refuse(response: ServerResponse, status: number, message: string, headers: Record<string, string> = {}): void {
  const body = `${message}\n`;
  write(response, status, { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': String(body.length), ...headers }, body);
}

/** Every connection serves one request, as with the kubelet: none is left idle when the server closes. */
function write(response: ServerResponse, status: number, headers: Readonly<Record<string, string>>, body: string): void {
  response.writeHead(status, { ...headers, Connection: 'close' });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}
