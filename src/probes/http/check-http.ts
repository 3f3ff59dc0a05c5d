import { request as requestHttp, type Agent, type ClientRequest, type IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { noteOutside } from '../../run/outside.js';
import type { ProbeContext } from '../../probe.js';
import { codeOf, connectionError, errorBecauseOf } from '../shared/connection-error.js';
import { resolveHttpTarget, type HttpTarget, type ResolvedHttpTarget } from './target.js';
import { untilAborted } from '../shared/until-aborted.js';

/**
 * Resolves when the service has answered with an expected status, and with the whole body or 64 KiB of it, which are thrown away.
 * Rejects, naming method and URL without credentials and query, where the service refuses, cannot be found, has a certificate that is not trusted,
 * hangs up, answers otherwise or redirects elsewhere; or when the signal is aborted first.
 *
 * @throws the signal's reason where that is aborted before the call; ConfigurationError where the target has an unknown option or one out of its range.
 */
export async function checkHttp(target: HttpTarget, context: Pick<ProbeContext, 'signal'>): Promise<void> {
  noteOutside(context, 'another service');
  await askTarget(resolveHttpTarget(target), context);
}

/** `checkHttp` of a target that has been validated. */
export async function askTarget(target: ResolvedHttpTarget, { signal }: Pick<ProbeContext, 'signal'>): Promise<void> {
  let { url } = target;
  for (let followed = 0; ; followed += 1) {
    signal.throwIfAborted();
    const { status, location } = await send(url, target, signal);
    if (target.isExpected(status)) return;
    const subject = `${describe(url, target)} answered ${String(status)}, expected ${target.expected}`;
    if (location === undefined) throw new Error(subject);
    url = follow(subject, url, location, target.maxRedirects - followed);
  }
}

interface Answer {
  readonly status: number;
  /** Where a redirect leads. */
  readonly location: string | undefined;
}

async function send(url: URL, target: ResolvedHttpTarget, signal: AbortSignal): Promise<Answer> {
  const request = url.protocol === 'https:' ? requestHttps(url, target.options) : requestHttp(url, target.options);
  const subject = describe(url, target);
  let response: IncomingMessage | undefined;
  try {
    response = await untilAborted(receive(request, subject), signal, `${subject}: no answer`);
    const { statusCode: status = 0, headers } = response;
    if (target.isExpected(status)) await untilAborted(discard(response, subject), signal, `${subject}: its answer has not ended`);
    return { status, location: REDIRECTS.has(status) ? headers.location : undefined };
  } catch (error) {
    if (request.reusedSocket) closeIdle(target.agent, url);
    throw error;
  } finally {
    // Of an answer that has been read nothing is left, and an agent keeps its connection. An unread one would hold that for ever, though it has arrived.
    if (response?.readableEnded !== true) request.destroy();
  }
}

/** Where one idle connection of an agent was dead, the others to the same origin are not trusted either: each of them would fail one more run. */
function closeIdle(agent: Agent | undefined, { protocol, hostname, port }: URL): void {
  const origin = `${hostname.replace(/^\[|\]$/g, '')}:${port || (protocol === 'https:' ? '443' : '80')}:`;
  for (const [name, sockets = []] of Object.entries(agent?.freeSockets ?? {})) {
    if (name.startsWith(origin)) for (const socket of sockets) socket.destroy();
  }
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

function receive(request: ClientRequest, subject: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('response', resolve);
    // Stays: an error that comes late has to have a listener.
    request.on('error', (error) => reject(explain(subject, error, request.socket)));
    request.once('close', () => reject(new Error(`${subject}: the server hung up before it had answered`)));
    request.end();
  });
}

const MOST_BODY_BYTES = 65_536;

/** Reads a body to its end, or as much of it as is enough to show that there is one. */
function discard(response: IncomingMessage, subject: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes >= MOST_BODY_BYTES) resolve();
    });
    response.once('end', resolve);
    response.on('error', (error) => reject(errorBecauseOf(`${subject}: the server hung up in the middle of its answer`, error)));
  });
}

function follow(subject: string, url: URL, location: string, remaining: number): URL {
  if (!URL.canParse(location, url.href)) throw new Error(`${subject}: it redirects to what is no URL`);
  const next = new URL(location, url);
  if (next.origin !== url.origin)
    throw new Error(`${subject}: it redirects to another host, ${originOf(next)}, and that is never followed`);
  if (remaining <= 0) throw new Error(`${subject}: it redirects to ${next.pathname}, and \`maxRedirects\` allows no more`);
  next.username = url.username;
  next.password = url.password;
  return next;
}

function explain(subject: string, error: Error, socket: Socket | null): Error {
  const code = codeOf(error);
  if (socket instanceof TLSSocket && socket.authorizationError) return errorBecauseOf(`${subject}: the certificate is not trusted`, error);
  if (code === 'EPROTO' || code.startsWith('ERR_SSL') || code.startsWith('ERR_TLS'))
    return errorBecauseOf(`${subject}: no TLS could be agreed upon`, error);
  if (code.startsWith('HPE_')) return errorBecauseOf(`${subject}: the server does not speak HTTP`, error);
  if (error.message === 'socket hang up') return errorBecauseOf(`${subject}: the server hung up before it had answered`, error);
  return connectionError(subject, error);
}

/** Without user, password and query. */
function describe(url: URL, { method }: ResolvedHttpTarget): string {
  return `${method} ${originOf(url)}${url.pathname}`;
}

/** Not every scheme has an origin, and a redirect may lead to any. */
function originOf({ protocol, host }: URL): string {
  return `${protocol}//${host}`;
}
