import { connect, type Socket } from 'node:net';
import { ConfigurationError } from '../../errors.js';
import { noteOutside } from '../../run/outside.js';
import type { ProbeContext } from '../../probe.js';
import { rejectUnknownOptions, showType } from '../../validation.js';
import { errorBecauseOf } from '../shared/connection-error.js';
import { lookupOnce } from '../shared/lookup.js';
import { countNeeded, type Requirement } from '../shared/quorum.js';
import { checkTargets } from '../shared/targets.js';
import { untilAborted } from '../shared/until-aborted.js';
import { decodeResponse, encodeRequest, OPCODE_SASL_AUTH, OPCODE_STAT, RESPONSE_MAGIC, type BinaryResponse } from './protocol.js';
import { excerpt, readTextAnswer } from './text-answer.js';

/** The part of a memjs `Server` that a check needs. */
export interface MemjsServer {
  readonly host: string;
  readonly port: number;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

/** The part of a memjs `Client` that a check needs. */
export interface MemjsClient {
  readonly servers: readonly MemjsServer[];
}

/** Options of `checkMemjs()`. */
export interface CheckMemjsOptions {
  /**
   * How many servers of the client must answer: `'all'`, `'any'`, or a whole number from 1 to the number of servers.
   * @default 'all'
   */
  require?: Requirement | undefined;
}

/**
 * Resolves as soon as enough servers of the client have answered `stats`. Rejects as soon as too many have failed, or when the signal is aborted.
 *
 * The check opens a separate connection to each server, with the host, port, user and password of the client. It does not use the connection of the client,
 * because a `stats` command that times out there would end every request in flight of the application, and would never settle if the server closes the connection.
 *
 * @throws the reason of the signal if it is aborted before the call; ConfigurationError if an option is unknown, or `require` is not a number from 1 to the number of servers
 */
export async function checkMemjs(
  client: MemjsClient,
  context: Pick<ProbeContext, 'signal'>,
  options: CheckMemjsOptions = {},
): Promise<void> {
  noteOutside(context, 'memcached');
  rejectUnknownOptions('checkMemjs()', options, ['require']);
  validateMemjsClient(client);
  const { servers } = client;
  if (servers.length === 0)
    throw new ConfigurationError('The client of checkMemjs() has no servers. Create the client with at least one server.');
  const needed = countNeeded('checkMemjs()', options.require ?? 'all', servers.length, 'the number of servers of the client');
  await checkTargets(servers, context, askServer, { needed, noun: 'memcached servers' });
}

export function validateMemjsClient(client: MemjsClient | undefined): void {
  if (Array.isArray(client?.servers)) return;
  throw new ConfigurationError(`Expected a client of memjs, got ${showType(client)}. Bind the result of \`Client.create()\`.`);
}

async function askServer(server: MemjsServer, { signal }: Pick<ProbeContext, 'signal'>): Promise<void> {
  const { host, port } = server;
  const address = `${host.includes(':') ? `[${host}]` : host}:${String(port)}`;
  let socket: Socket | undefined;
  try {
    socket = connect({ host, port, lookup: lookupOnce });
    const answered = askStats(socket, server).catch((error: unknown) => {
      throw errorBecauseOf(address, error);
    });
    await untilAborted(answered, signal, `${address}: no complete answer`);
  } catch (error) {
    throw socket === undefined ? errorBecauseOf(address, error) : error;
  } finally {
    socket?.destroy();
  }
}

/** Hundreds of times the size of a normal answer. */
const LONGEST_ANSWER_BYTES = 1_048_576;

const OTHER_PROTOCOL = 'the server does not speak the binary protocol of memcached';

/** Resolves when the server has sent all of its statistics. */
function askStats(socket: Socket, { username, password }: MemjsServer): Promise<void> {
  return new Promise((resolve, reject) => {
    let unread: Buffer = Buffer.alloc(0);
    let isText = false;
    const fail = (error: Error) => {
      if (!isText) reject(error);
    };
    const askForStats = () => socket.write(encodeRequest(OPCODE_STAT));
    const onResponse = ({ opcode, status, bodyBytes, value }: BinaryResponse) => {
      if (status !== 0) return fail(new Error(`the server returned status ${String(status)}: ${excerpt(value)}`));
      if (opcode === OPCODE_SASL_AUTH) return askForStats();
      if (opcode !== OPCODE_STAT) return fail(new Error(OTHER_PROTOCOL));
      // An empty response ends the statistics.
      return bodyBytes === 0 && resolve();
    };
    socket.once('error', fail);
    socket.once('close', () => fail(new Error('the server closed the connection before it answered')));
    socket.once('connect', () => {
      if (username && password) socket.write(encodeRequest(OPCODE_SASL_AUTH, 'PLAIN', `\0${username}\0${password}`));
      else askForStats();
    });
    socket.on('data', (chunk) => {
      if (isText) return;
      if (socket.bytesRead > LONGEST_ANSWER_BYTES) return fail(new Error('the answer of the server is longer than 1 MiB'));
      unread = Buffer.concat([unread, chunk]);
      isText = unread[0] !== RESPONSE_MAGIC;
      if (isText) return void readTextAnswer(socket, unread).then((text) => reject(explainText(text)));
      for (let next = decodeResponse(unread); next !== undefined; next = decodeResponse(unread)) {
        unread = next.rest;
        onResponse(next.response);
      }
    });
  });
}

/** A memcached that accepts no more connections, or whose binary protocol is turned off, answers with an error of the text protocol. */
function explainText(text: string): Error {
  const answer = `the server answered "${text}"`;
  return new Error(/^(?:CLIENT_|SERVER_)?ERROR ./.test(text) ? answer : `${answer}: it does not speak the binary protocol of memcached`);
}
