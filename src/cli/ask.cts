import net = require('node:net');
import type tls = require('node:tls');
import type { Answer, Way } from './command.cjs';

type Served = Extract<Way, { by: 'socket' | 'url' }>;

/** Responses of this library have at most 10 KiB. */
const LONGEST_ANSWER = 65_536;

/** Size of the buffer for one read. */
const BUFFER_BYTES = 16_384;

/** The host name for a UNIX socket. HTTP requires one, but a socket has none. */
const NOWHERE = { authority: 'localhost', prefix: '' };

const HEAD_END = '\r\n\r\n';

/**
 * Sends one GET request over a plain socket. Loading `node:http` would take a third of the start time of Node longer than `node:net`, and even regular expressions are avoided. It follows no redirect and uses no proxy.
 * It calls back with the complete response, or with the reason why there is none. The connection is not closed, because the callback ends the process.
 */
function ask(way: Served, path: string, done: (answer: Answer | string) => void): void {
  let received = '';
  const buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  const read = (isOver: boolean) => {
    try {
      const answer = readAnswer(received, isOver);
      if (answer !== undefined) done(answer);
      else if (isOver) done(`${nameOf(way)} closed the connection in the middle of its response.`);
      else if (received.length > LONGEST_ANSWER)
        done(`${nameOf(way)} sends more than ${String(LONGEST_ANSWER)} bytes. Is it the application?`);
    } catch (error) {
      if (!(error instanceof NotHttp)) throw error;
      done(`${nameOf(way)} does not answer with HTTP. Is it the application?`);
    }
  };
  const callback = (size: number) => {
    received += buffer.toString('latin1', 0, size);
    read(false);
    return true;
  };
  const socket = open(way, { buffer, callback });
  socket.on('end', () => read(true));
  socket.on('error', ({ code = 'ERROR' }: NodeJS.ErrnoException) => (received === '' ? done(explain(way, code)) : read(true)));
  const { authority, prefix } = way.by === 'url' ? way.url : NOWHERE;
  socket.write(
    `GET ${prefix}${path} HTTP/1.1\r\nHost: ${authority}\r\nUser-Agent: koa-probes\r\nAccept: text/plain\r\nConnection: close\r\n\r\n`,
  );
}

function open(way: Served, onread: net.OnReadOpts): net.Socket {
  if (way.by === 'socket') return net.connect({ path: way.path, onread });
  const { isSecure, host, port } = way.url;
  if (!isSecure) return net.connect({ host, port, onread });
  const { connect } = require('node:tls') as typeof tls;
  // Like the kubelet, do not verify the certificate: it is issued for the service and not for the address of the pod.
  const options = { host, port, onread, rejectUnauthorized: false };
  return connect(net.isIP(host) === 0 ? { ...options, servername: host } : options);
}

class NotHttp extends Error {}

/** Returns the response as soon as it is complete: by its length, or at the end of the connection if it has no length. Throws if it is not HTTP. */
function readAnswer(received: string, isOver: boolean): Answer | undefined {
  if (!received.startsWith('HTTP/1.'.slice(0, received.length))) throw new NotHttp();
  const headEnd = received.indexOf(HEAD_END);
  if (headEnd === -1) return undefined;
  const status = readStatus(received);
  const rest = received.slice(headEnd + HEAD_END.length);
  // An informational response precedes the real one.
  if (status < 200) return readAnswer(rest, isOver);
  const body = readBody(status, received.slice(0, headEnd).toLowerCase(), rest, isOver);
  if (body === undefined) return undefined;
  // The body is decoded when it is read. For a pass, only the status is read.
  return {
    status,
    get body() {
      return Buffer.from(body, 'latin1').toString();
    },
  };
}

/** Reads the status from a line like `HTTP/1.1 200 OK`: exactly three digits between the spaces. */
function readStatus(received: string): number {
  const digits = received.slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length);
  const status = Number(digits);
  const behind = received['HTTP/1.1 200'.length];
  const isProper = received['HTTP/1.1'.length] === ' ' && (behind === ' ' || behind === '\r');
  if (isProper && status >= 100 && String(status) === digits) return status;
  throw new NotHttp();
}

function readBody(status: number, head: string, rest: string, isOver: boolean): string | undefined {
  if (status === 204 || status === 304) return '';
  if (readField(head, 'transfer-encoding')?.endsWith('chunked')) return joinChunks(rest);
  const length = readField(head, 'content-length');
  if (length === undefined) return isOver ? rest : undefined;
  const bytes = Number(length);
  if (!(bytes >= 0) || String(bytes) !== length) throw new NotHttp();
  return rest.length >= bytes ? rest.slice(0, bytes) : undefined;
}

function readField(head: string, name: string): string | undefined {
  const field = `\r\n${name}:`;
  const at = head.indexOf(field);
  if (at === -1) return undefined;
  const end = head.indexOf('\r\n', at + field.length);
  return head.slice(at + field.length, end === -1 ? undefined : end).trim();
}

/** Returns the text of the chunks, once the last one has arrived. */
function joinChunks(body: string): string | undefined {
  let text = '';
  let at = 0;
  for (let sizeEnd = body.indexOf('\r\n'); sizeEnd !== -1; sizeEnd = body.indexOf('\r\n', at)) {
    const size = Number.parseInt(body.slice(at, sizeEnd), 16);
    if (!(size >= 0)) throw new NotHttp();
    if (size === 0) return text;
    text += body.slice(sizeEnd + 2, sizeEnd + 2 + size);
    at = sizeEnd + 2 + size + 2;
  }
  return undefined;
}

/** Explains an error by its code only, because the kubelet shows the text in an event. */
function explain(way: Served, code: string): string {
  if (way.by === 'url') {
    return code === 'ECONNREFUSED'
      ? `nothing is listening on ${nameOf(way)}. Start the application, or set its address with --url, --socket or PORT.`
      : `no connection to ${nameOf(way)} (${code}). Correct --url, PROBE_URL or PORT.`;
  }
  if (code === 'ENOENT')
    return `the socket ${way.path} does not exist. Start the worker with \`probeServer(probes, { socket })\`, or correct --socket or PROBE_SOCKET.`;
  if (code === 'ECONNREFUSED') return `nothing is listening on ${way.path}: its worker has ended, or it is not a socket.`;
  return `no connection to ${way.path} (${code}). Run the command as the user of the worker, or correct --socket or PROBE_SOCKET.`;
}

function nameOf(way: Served): string {
  return way.by === 'url' ? `${way.url.isSecure ? 'https' : 'http'}://${way.url.authority}` : way.path;
}

export = { ask, nameOf };
