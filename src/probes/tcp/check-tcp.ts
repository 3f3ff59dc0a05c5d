import { connect, type Socket } from 'node:net';
import { ConfigurationError } from '../../errors.js';
import { noteOutside } from '../../run/outside.js';
import type { ProbeContext } from '../../probe.js';
import { rejectUnknownOptions, show } from '../../validation.js';
import { connectionError } from '../shared/connection-error.js';
import { lookupOnce } from '../shared/lookup.js';
import { untilAborted } from '../shared/until-aborted.js';

/** A listening socket: `{ host, port }`, or `{ path }` for a UNIX socket. */
export type TcpTarget =
  | {
      /** Name or address of the host. */
      readonly host: string;
      /** Port, a whole number from 1 to 65,535. */
      readonly port: number;
    }
  | {
      /** Path of a UNIX socket. */
      readonly path: string;
    };

/**
 * Resolves when the target has accepted a connection, and closes that connection. Rejects with an error that names the target if the connection is refused, the host name is not found,
 * or the signal is aborted first. The check sends nothing, so it only shows that something is listening.
 *
 * @throws the reason of the signal if it is aborted before the call; ConfigurationError if the target has neither a host and a port nor a path
 */
export async function checkTcp(target: TcpTarget, context: Pick<ProbeContext, 'signal'>): Promise<void> {
  noteOutside(context, 'another service');
  const { signal } = context;
  validateTarget(target);
  signal.throwIfAborted();
  const socket = connect('path' in target ? { path: target.path } : { host: target.host, port: target.port, lookup: lookupOnce });
  const subject = describeTarget(target);
  try {
    await untilAborted(connected(socket, subject), signal, `${subject}: no connection`);
  } catch (error) {
    socket.destroy();
    throw error;
  }
  // Read what the peer may have sent, because closing a socket with unread bytes resets the connection. Do not wait for the peer to close its side.
  socket.resume().end(() => socket.destroy());
}

function connected(socket: Socket, subject: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    // This listener stays, because a late error needs a listener.
    socket.on('error', (error) => reject(connectionError(subject, error)));
  });
}

export function validateTarget(target: TcpTarget): void {
  const subject = 'a TCP target';
  rejectUnknownOptions(subject, target, ['host', 'port', 'path']);
  const { host, port, path } = target as { host?: unknown; port?: unknown; path?: unknown };
  if (path !== undefined) {
    if (typeof path === 'string' && path !== '' && host === undefined && port === undefined) return;
    throw new ConfigurationError(
      `Expected \`path\` of ${subject} to be the path of a UNIX socket, without \`host\` and \`port\`, got ${show(path)}.`,
    );
  }
  if (typeof host !== 'string' || host === '') {
    throw new ConfigurationError(`Expected \`host\` of ${subject} to be a name or an address, got ${show(host)}.`);
  }
  if (typeof port === 'number' && Number.isInteger(port) && port >= 1 && port <= 65_535) return;
  throw new ConfigurationError(`Expected \`port\` of ${subject} to be a whole number from 1 to 65535, got ${show(port)}.`);
}

function describeTarget(target: TcpTarget): string {
  if ('path' in target) return `tcp ${target.path}`;
  return `tcp ${target.host.includes(':') ? `[${target.host}]` : target.host}:${String(target.port)}`;
}
