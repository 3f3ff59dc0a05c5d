import net = require('node:net');
import type tls = require('node:tls');
import type { Answer, Way } from './command.cjs';

type Served = Extract<Way, { by: 'socket' | 'url' }>;

/** The answers of this library have 10 KiB at most. */
const LONGEST_ANSWER = 65_536;

const HEAD_END = '\r\n\r\n';

/**
 * One GET, written by hand: `node:http` takes a third of a start of Node more than `node:net`, and each regular expression counts. It follows no redirect and heeds no proxy.
 * Calls back with the whole answer or with why there is none, which is to end the process: the connection stays as it is.
 */
function ask(way: Served, path: string, done: (answer: Answer | string) => void): void {
  let received = '';
  const onread = {
    buffer: Buffer.allocUnsafe(LONGEST_ANSWER),
    callback(size: number, buffer: Uint8Array) {
      received += Buffer.from(buffer.buffer, buffer.byteOffset, size).toString('latin1');
      const answer = readAnswer(received, false);
      if (answer !== undefined) done(answer);
      else if (received.length > LONGEST_ANSWER)
        done(`${nameOf(way)} sends more than ${String(LONGEST_ANSWER)} bytes. Is it the application?`);
      return true;
    },
  };
  const socket = open(way, onread);
  socket.on('end', () => done(readAnswer(received, true) ?? `${nameOf(way)} hung up in the middle of its answer.`));
  socket.on('error', ({ code = 'ERROR' }: NodeJS.ErrnoException) => done(explain(way, code)));
  const { host, prefix } = addressOf(way);
  socket.write(
    `GET ${prefix}${path} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: koa-probes\r\nAccept: text/plain\r\nConnection: close\r\n\r\n`,
  );
}

function open(way: Served, onread: net.OnReadOpts): net.Socket {
  if (way.by === 'socket') return net.connect({ path: way.path, onread });
  const host = way.url.hostname.replace(/^\[|\]$/g, '');
  if (way.url.protocol === 'http:') return net.connect({ host, port: Number(way.url.port || 80), onread });
  const { connect } = require('node:tls') as typeof tls;
  // As the kubelet does: a certificate is made out for the service, and not for the pod's own address.
  const options = { host, port: Number(way.url.port || 443), onread, rejectUnauthorized: false };
  return connect(net.isIP(host) === 0 ? { ...options, servername: host } : options);
}

function addressOf(way: Served): { readonly host: string; readonly prefix: string } {
  return way.by === 'socket' ? { host: 'localhost', prefix: '' } : { host: way.url.host, prefix: way.url.pathname.replace(/\/+$/, '') };
}

/** The answer, as soon as it is whole: by its length, or with the connection where it names none. */
function readAnswer(received: string, isOver: boolean): Answer | undefined {
  const headEnd = received.indexOf(HEAD_END);
  const status = Number(received.slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length));
  if (headEnd === -1 || !received.startsWith('HTTP/1.') || !(status >= 100)) return undefined;
  const head = received.slice(0, headEnd).toLowerCase();
  const body = received.slice(headEnd + HEAD_END.length);
  const length = readField(head, 'content-length');
  const isWhole = length === undefined ? isOver : body.length >= Number(length);
  const whole = readField(head, 'transfer-encoding')?.endsWith('chunked') ? joinChunks(body) : isWhole ? body : undefined;
  return whole === undefined ? undefined : { status, body: Buffer.from(whole, 'latin1').toString() };
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
  while (at < body.length) {
    const sizeEnd = body.indexOf('\r\n', at);
    const size = Number.parseInt(body.slice(at, sizeEnd), 16);
    if (sizeEnd === -1 || Number.isNaN(size)) return undefined;
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
      ? `nothing listens on ${way.url.origin}. Start the application, or say where it listens with --url, --socket or PORT.`
      : `no connection to ${way.url.origin} (${code}). Correct --url, PROBE_URL or PORT.`;
  }
  if (code === 'ENOENT')
    return `there is no socket ${way.path}. Start the worker with \`probeServer(probes, { socket })\`, or correct --socket or PROBE_SOCKET.`;
  if (code === 'ECONNREFUSED') return `nothing listens on ${way.path}: the worker that made it has ended.`;
  return `no connection to ${way.path} (${code}). Run the command as the user of the worker, or correct --socket or PROBE_SOCKET.`;
}

function nameOf(way: Served): string {
  return way.by === 'url' ? way.url.origin : way.path;
}

export = { ask };
