import net = require('node:net');
import type tls = require('node:tls');
import type { Answer, Way } from './command.cjs';

type Served = Extract<Way, { by: 'socket' | 'url' }>;

/** The answers of this library have 10 KiB at most. */
const LONGEST_ANSWER = 65_536;

/** One reading of the connection. */
const BUFFER_BYTES = 16_384;

/** HTTP wants a name of the server, and a socket has none. */
const NOWHERE = { authority: 'localhost', prefix: '' };

const HEAD_END = '\r\n\r\n';

/**
 * One GET, written by hand: `node:http` takes a third of a start of Node more than `node:net`, and each regular expression counts. It follows no redirect and heeds no proxy.
 * Calls back with the whole answer or with why there is none, which is to end the process: the connection stays as it is.
 */
function ask(way: Served, path: string, done: (answer: Answer | string) => void): void {
  let received = '';
  const buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  const read = (isOver: boolean) => {
    try {
      const answer = readAnswer(received, isOver);
      if (answer !== undefined) done(answer);
      else if (isOver) done(`${nameOf(way)} hung up in the middle of its answer.`);
      else if (received.length > LONGEST_ANSWER)
        done(`${nameOf(way)} sends more than ${String(LONGEST_ANSWER)} bytes. Is it the application?`);
    } catch (error) {
      if (!(error instanceof NotHttp)) throw error;
      done(`${nameOf(way)} answers otherwise than by HTTP. Is it the application?`);
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
  // As the kubelet does: a certificate is made out for the service, and not for the pod's own address.
  const options = { host, port, onread, rejectUnauthorized: false };
  return connect(net.isIP(host) === 0 ? { ...options, servername: host } : options);
}

class NotHttp extends Error {}

/** The answer, as soon as it is whole: by its length, or with the connection where it names none. Throws where it is none of HTTP. */
function readAnswer(received: string, isOver: boolean): Answer | undefined {
  if (!received.startsWith('HTTP/1.'.slice(0, received.length))) throw new NotHttp();
  const headEnd = received.indexOf(HEAD_END);
  if (headEnd === -1) return undefined;
  const status = readStatus(received);
  const rest = received.slice(headEnd + HEAD_END.length);
  // It only announces the answer.
  if (status < 200) return readAnswer(rest, isOver);
  const body = readBody(status, received.slice(0, headEnd).toLowerCase(), rest, isOver);
  if (body === undefined) return undefined;
  // Decoded where it is read: of a pass the status is enough.
  return {
    status,
    get body() {
      return Buffer.from(body, 'latin1').toString();
    },
  };
}

/** Of a line like `HTTP/1.1 200 OK`: three digits, and nothing else between the blanks. */
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

/** The text of the chunks, once the last one is there. */
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

/** By its code alone: the kubelet makes an event of it. */
function explain(way: Served, code: string): string {
  if (way.by === 'url') {
    return code === 'ECONNREFUSED'
      ? `nothing listens on ${nameOf(way)}. Start the application, or say where it listens with --url, --socket or PORT.`
      : `no connection to ${nameOf(way)} (${code}). Correct --url, PROBE_URL or PORT.`;
  }
  if (code === 'ENOENT')
    return `there is no socket ${way.path}. Start the worker with \`probeServer(probes, { socket })\`, or correct --socket or PROBE_SOCKET.`;
  if (code === 'ECONNREFUSED') return `nothing listens on ${way.path}: the worker that made it has ended, or it is no socket.`;
  return `no connection to ${way.path} (${code}). Run the command as the user of the worker, or correct --socket or PROBE_SOCKET.`;
}

function nameOf(way: Served): string {
  return way.by === 'url' ? `${way.url.isSecure ? 'https' : 'http'}://${way.url.authority}` : way.path;
}

export = { ask, nameOf };
