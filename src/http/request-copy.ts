import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { RequestCopy } from '../thread/messages.js';

/** What `details` and `render` may read of a request that was received by another thread. */
export function copyRequest(request: IncomingMessage): RequestCopy {
  const { method = '', url = '', httpVersion, headers, headersDistinct, rawHeaders, socket } = request;
  const { remoteAddress, remotePort, remoteFamily, localAddress, localPort } = socket;
  const ends = { remoteAddress, remotePort, remoteFamily, localAddress, localPort };
  return { method, url, httpVersion, headers: { ...headers }, headersDistinct: { ...headersDistinct }, rawHeaders, socket: ends };
}

/** The request again, without its connection and without a body. */
export function readCopy({ socket, httpVersion, ...copy }: RequestCopy): IncomingMessage {
  const ends = Object.entries(socket).map(([name, value]) => [name, { value }] as const);
  const request = new IncomingMessage(Object.defineProperties(new Socket(), Object.fromEntries(ends)));
  const [major = 1, minor = 1] = httpVersion.split('.').map(Number);
  Object.assign(request, copy, { httpVersion, httpVersionMajor: major, httpVersionMinor: minor, complete: true });
  request.push(null);
  return request;
}
