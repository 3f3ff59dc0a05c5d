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
 * Resolves when the service has answered with an expected status and the body has arrived completely, or its first 64 KiB. The body is discarded.
 *
 * Rejects if the connection is refused, the host name is not found, the certificate is not trusted, the connection is closed early, the status is not expected,
 * the service redirects to another host, or the signal is aborted first. The message names the method and the URL without credentials and query.
 *
 * @throws the reason of the signal if it is aborted before the call; ConfigurationError if the target has an unknown option or an option is out of range
 */
export async function checkHttp(target: HttpTarget, context: Pick<ProbeContext, 'signal'>): Promise<void> {
  noteOutside(context, 'another service');
  await askTarget(resolveHttpTarget(target), context);
}

/** Checks a target that has already been validated. */
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
  /** The target of a redirect. */
  readonly location: string | undefined;
}

async function send(url: URL, target: ResolvedHttpTarget, signal: AbortSignal): Promise<Answer> {
  const request = url.protocol === 'https:' ? requestHttps(url, target.options) : requestHttp(url, target.options);
  const subject = describe(url, target);
  let response: IncomingMessage | undefined;
  try {
    response = await untilAborted(receive(request, subject), signal, `${subject}: no answer`);
    const { statusCode: status = 0, headers } = response;
    if (target.isExpected(status)) await untilAborted(discard(response, subject), signal, `${subject}: the response has not ended`);
    return { status, location: REDIRECTS.has(status) ? headers.location : undefined };
  } catch (error) {
    if (request.reusedSocket) closeIdle(target.agent, url);
    throw error;
  } finally {
    // If the response was read to its end, an agent can keep the connection. An unread response would occupy the connection forever, so the request is destroyed.
    if (response?.readableEnded !== true) request.destroy();
  }
}

/** If one idle connection of an agent was dead, the other idle ones to the same origin are closed too, because each would make one more run fail. */
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
    // This listener stays, because a late error needs a listener.
    request.on('error', (error) => reject(explain(subject, error, request.socket)));
    request.once('close', () => reject(new Error(`${subject}: the server closed the connection before it answered`)));
    request.end();
  });
}

const MOST_BODY_BYTES = 65_536;

/** Reads a body to its end or to the limit, which is enough to show that the server sends one. */
function discard(response: IncomingMessage, subject: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes >= MOST_BODY_BYTES) resolve();
    });
    response.once('end', resolve);
    response.on('error', (error) =>
      reject(errorBecauseOf(`${subject}: the server closed the connection in the middle of its response`, error)),
    );
  });
}

function follow(subject: string, url: URL, location: string, remaining: number): URL {
  if (!URL.canParse(location, url.href)) throw new Error(`${subject}: the redirect target is not a URL`);
  const next = new URL(location, url);
  if (next.origin !== url.origin)
    throw new Error(`${subject}: it redirects to another host, ${originOf(next)}, and such a redirect is never followed`);
  if (remaining <= 0) throw new Error(`${subject}: it redirects to ${next.pathname}, and \`maxRedirects\` allows no more`);
  next.username = url.username;
  next.password = url.password;
  return next;
}

function explain(subject: string, error: Error, socket: Socket | null): Error {
  const code = codeOf(error);
  if (socket instanceof TLSSocket && socket.authorizationError) return errorBecauseOf(`${subject}: the certificate is not trusted`, error);
  if (code === 'EPROTO' || code.startsWith('ERR_SSL') || code.startsWith('ERR_TLS'))
    return errorBecauseOf(`${subject}: the TLS handshake failed`, error);
  if (code.startsWith('HPE_')) return errorBecauseOf(`${subject}: the server does not speak HTTP`, error);
  if (error.message === 'socket hang up') return errorBecauseOf(`${subject}: the server closed the connection before it answered`, error);
  return connectionError(subject, error);
}

/** Describes the request without user, password and query. */
function describe(url: URL, { method }: ResolvedHttpTarget): string {
  return `${method} ${originOf(url)}${url.pathname}`;
}

/** `URL.origin` is not used, because it is "null" for some schemes, and a redirect may use any scheme. */
function originOf({ protocol, host }: URL): string {
  return `${protocol}//${host}`;
}
