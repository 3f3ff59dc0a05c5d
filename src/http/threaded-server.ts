import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ConfigurationError } from '../errors.js';
import type { ProbeRegistry } from '../registry/registry.js';
import type { BlockLimits } from '../thread/messages.js';
import { threadOf } from '../thread/probe-thread.js';
import type { AnswerOptions } from './answer-options.js';
import { answerFrom, plainAnswer, type AnswerSource, type EndpointOptions } from './endpoint.js';
import { createHangUpLog } from './hang-ups.js';
import { createUrlMatcher, type PathOptions, type ProbeTarget } from './paths.js';
import { readCopy } from './request-copy.js';
import type { ServerAddress } from './server.js';
import { removeAtExit } from './socket-file.js';

/** A probe server in a thread of its own. */
export interface ThreadedProbeServer {
  /** Where it listens, as `address()` of Node's servers says it: the path of a socket, or an object with the `port`. */
  address(): AddressInfo | string;
  /** Stops listening, and resolves when that is done. May be called twice. It is closed with the registry too, and after a graceful shutdown. */
  close(): Promise<void>;
}

/** What the thread is told of a server. Functions of the application stay in the main thread. */
export interface ThreadServerSettings {
  readonly address: ServerAddress;
  readonly paths: PathOptions | undefined;
  readonly answers: AnswerOptions<IncomingMessage>;
}

type Options = EndpointOptions<IncomingMessage> & ServerAddress;

/** The options are in their ranges. */
export async function openThreadedServer(
  probes: ProbeRegistry,
  options: Options,
  limits: BlockLimits,
  onClose: () => void,
): Promise<ThreadedProbeServer> {
  checkIsOpen(probes);
  const { lastingAnswerers } = probes.lifecycle;
  const { socket, paths } = options;
  const matchUrl = createUrlMatcher(paths);
  const answer = answerFrom(withoutNotes(probes), options);
  const noteDelivery = createHangUpLog(probes);
  let address: AddressInfo | string = '';
  let leaveFile = (): void => {};

  const thread = threadOf(probes);
  const part = thread.open({
    name: 'server',
    limits,
    settings: () => readSettings(options, address),
    onOpen(opened) {
      address = opened as AddressInfo | string;
      leaveFile();
      if (socket !== undefined) leaveFile = removeAtExit(socket);
    },
    async onRequest(copy) {
      const request = readCopy(copy);
      // The thread has found it to be one.
      const target = matchUrl(copy.url) as ProbeTarget;
      try {
        const answered = await answer(target, request.headers.accept, request);
        thread.refresh(target.kind);
        return answered;
      } catch {
        // An answer that cannot be made is no reason to end the process.
        return plainAnswer(503, 'the answer could not be made');
      }
    },
    onSent({ kind, probe, code, isGone }) {
      probes.noteAnswer(kind, probe, code);
      noteDelivery(kind, isGone);
    },
    onClose() {
      onClose();
      leaveFile();
      lastingAnswerers.delete(server);
    },
  });
  const server: ThreadedProbeServer = { address: () => address, close: () => part.close() };
  lastingAnswerers.add(server);
  await part.opened;
  // It has been closed with the registry.
  checkIsOpen(probes);
  return server;
}

function checkIsOpen(probes: ProbeRegistry): void {
  if (!probes.isClosed) return;
  throw new ConfigurationError('probeServer() cannot answer for a registry that is closed. Call it before probes.close().');
}

/** The thread says which answers have left it: some of them are its own. */
function withoutNotes(probes: ProbeRegistry): AnswerSource {
  return {
    has: (kind, name) => probes.has(kind, name),
    run: (kind, options) => probes.run(kind, options),
    noteAnswer() {},
    logger: probes.logger,
  };
}

/** Once it has had a port, it comes back to that one. */
function readSettings({ port, host, socket, paths, ...options }: Options, address: AddressInfo | string): ThreadServerSettings {
  const { details, format, info, retryAfterSeconds } = options;
  return {
    address: { port: typeof address === 'string' ? port : address.port, host, socket },
    paths,
    answers: { details: details === 'all' ? 'all' : 'public', format, info, retryAfterSeconds },
  };
}
