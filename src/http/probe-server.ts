import type { IncomingMessage, Server } from 'node:http';
import { ConfigurationError } from '../errors.js';
import { isInspected } from '../registry/inspection.js';
import type { ProbeRegistry } from '../registry/registry.js';
import { BLOCK_OPTION_NAMES, resolveBlockLimits, type BlockOptions } from '../thread/block-options.js';
import { rejectUnknownOptions, show } from '../validation.js';
import { createAnswerer, ENDPOINT_OPTION_NAMES, plainAnswer, type Answerer, type EndpointOptions, type ProbeAnswer } from './endpoint.js';
import { summariseAnswers } from './answer-options.js';
import { createHangUpLog, isClientGone } from './hang-ups.js';
import { groupPaths } from './paths.js';
import { closeServer, createProbeServer, listen, sendAnswer, type RequestHandler, type ServerAddress } from './server.js';
import { openThreadedServer, type ThreadedProbeServer } from './threaded-server.js';

export type { RequestHandler } from './server.js';

export interface ProbeServerOptions extends EndpointOptions<IncomingMessage>, BlockOptions {
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

const OPTION_NAMES = ['port', 'host', 'socket', 'page', ...BLOCK_OPTION_NAMES, ...ENDPOINT_OPTION_NAMES];

/**
 * A server for the probes alone, on a management port or a UNIX socket: for a worker without HTTP, or to keep the probes from the public.
 * Resolves when it listens. It is closed with the registry, or by its own `close()`.
 *
 * With `thread: true` it runs in a worker thread, and answers also while the event loop of the application is blocked.
 * It then keeps no process alive, and a graceful shutdown closes it last.
 *
 * @throws ConfigurationError where it cannot listen, or an option is out of its range.
 */
export function probeServer(probes: ProbeRegistry, options: ProbeServerOptions & { thread: true }): Promise<ThreadedProbeServer>;
export function probeServer(probes: ProbeRegistry, options: ProbeServerOptions & { thread?: false | undefined }): Promise<Server>;
export function probeServer(probes: ProbeRegistry, options: ProbeServerOptions): Promise<Server | ThreadedProbeServer>;
export async function probeServer(probes: ProbeRegistry, options: ProbeServerOptions): Promise<Server | ThreadedProbeServer> {
  rejectUnknownOptions('probeServer()', options, OPTION_NAMES);
  checkAddress(options);
  checkPage(options);
  const limits = resolveBlockLimits('probeServer()', options);
  const answer = createAnswerer('probeServer()', probes, options);
  const { port, host, socket } = options;
  const answerer = { by: 'server' as const, port, host, socket, paths: groupPaths(options.paths), ...summariseAnswers(options) };
  const takeNoteBack = probes.servingNotes.noteAnswerer(() => answerer);
  try {
    // A command that only reads how the application is set up needs no thread.
    if (limits !== undefined && !isInspected()) return await openThreadedServer(probes, options, limits, takeNoteBack);
    return await openServer(probes, options, answer, takeNoteBack);
  } catch (error) {
    takeNoteBack();
    throw error;
  }
}

async function openServer(
  probes: ProbeRegistry,
  options: ProbeServerOptions,
  answer: Answerer<IncomingMessage>,
  onClose: () => void,
): Promise<Server> {
  const noteDelivery = createHangUpLog(probes);
  const server = createProbeServer(options, (target, request, response) => {
    const deliver = (answered: ProbeAnswer) => {
      noteDelivery(target.kind, isClientGone(response));
      sendAnswer(response, answered);
    };
    // An answer that cannot be made is no reason to end the process.
    const deliverProblem = () => sendAnswer(response, plainAnswer(503, 'the answer could not be made'));
    answer(target, request.headers.accept, request).then(deliver, deliverProblem);
  });
  await listen(server, options);
  const close = () => closeServer(server);
  probes.lifecycle.lastingAnswerers.add(server);
  server.once('close', () => {
    onClose();
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

function checkAddress({ port, host, socket }: ServerAddress): void {
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

function checkPage({ page, thread }: ProbeServerOptions): void {
  if (page === undefined) return;
  if (typeof (page as Partial<RequestHandler> | null)?.handle !== 'function') {
    throw new ConfigurationError(
      `Expected \`page\` of probeServer() to be a status page, got ${show(page)}. Make it with \`statusPage(probes)\` from koa-probes/page.`,
    );
  }
  if (thread === true) {
    throw new ConfigurationError(
      'probeServer() with `thread: true` cannot serve a `page`, which needs the main thread. Mount the page in the application, or on a server of its own.',
    );
  }
}
