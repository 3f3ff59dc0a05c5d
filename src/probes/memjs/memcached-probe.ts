import { connect, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { multiInject } from 'inversify';
import { Utils, type Client, type Response, type Server } from 'memjs';
import { ReadinessProbe } from '../../discovery/decorators.js';
import { ConfigurationError, describeError } from '../../errors.js';
import { ChecksOutside, noteOutside } from '../../run/outside.js';
import type { Probe, ProbeContext } from '../../probe.js';
import { rejectUnknownOptions, show, showType } from '../../validation.js';
import { lookupOnce } from '../shared/lookup.js';
import { checkTargets, requireTargets } from '../shared/targets.js';
import type { TargetToken } from '../shared/target-token.js';

/** Bind every memjs `Client` that `MemcachedProbe` is to check: `container.bind(MEMCACHED).toConstantValue(Client.create(…))`. */
export const MEMCACHED: TargetToken<Client> = Symbol.for('koa-probes.MEMCACHED');

export interface CheckMemjsOptions {
  /**
   * How many servers of the client must answer: `all`, `any` or a number.
   * @default 'all'
   */
  require?: 'all' | 'any' | number | undefined;
}

/** Readiness: `stats` from every server of every client that is bound to `MEMCACHED`. */
@ChecksOutside('memcached')
@ReadinessProbe({ name: 'memcached' })
export class MemcachedProbe implements Probe {
  readonly #clients: readonly Client[];

  constructor(@multiInject(MEMCACHED, { chained: true }) clients: readonly Client[]) {
    requireTargets('MemcachedProbe', clients, 'MEMCACHED', 'client');
    for (const client of clients) validateClient(client);
    this.#clients = clients;
  }

  async check(context: ProbeContext): Promise<void> {
    noteOutside(context, 'memcached');
    await checkTargets(this.#clients, context, (client, one) => checkMemjs(client, one));
  }
}

/**
 * Resolves as soon as enough servers of the client have answered `stats`; rejects when too many have failed, or when the signal is aborted.
 *
 * Each server is asked on a connection of the check's own, with the client's host, port, user and password. On the client's own connection a `stats`
 * that times out would end every request that the application has under way there, and one whose peer hangs up would never be answered.
 *
 * @throws the signal's reason where that is aborted before the call; ConfigurationError where an option is unknown, or `require` is more than the servers of the client, or none.
 */
export async function checkMemjs(
  client: Pick<Client, 'servers'>,
  context: Pick<ProbeContext, 'signal'>,
  options: CheckMemjsOptions = {},
): Promise<void> {
  noteOutside(context, 'memcached');
  rejectUnknownOptions('checkMemjs()', options, ['require']);
  validateClient(client);
  const { signal } = context;
  const { servers } = client;
  const needed = countNeeded(options.require ?? 'all', servers.length);
  signal.throwIfAborted();
  const sockets: Socket[] = [];
  const ask = async (server: Server) => {
    const socket = connect({ host: server.host, port: server.port, lookup: lookupOnce });
    sockets.push(socket);
    await askStats(socket, server);
  };
  let onAbort = () => {};
  try {
    await new Promise<void>((resolve, reject) => {
      const silent = new Set(servers.map(addressOf));
      const failures: string[] = [];
      let answered = 0;
      const fail = (problems: readonly string[], cause?: unknown) => {
        const counts = `${String(problems.length)} of ${String(servers.length)} memcached servers failed, ${String(needed)} must answer`;
        reject(new Error(`${counts}: ${problems.join('; ')}`, cause === undefined ? {} : { cause }));
      };
      const startedAt = performance.now();
      onAbort = () => {
        const waitedMs = String(Math.round(performance.now() - startedAt));
        fail([...failures, ...[...silent].map((address) => `${address}: no whole answer for ${waitedMs} ms`)], signal.reason);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      const onAnswer = (server: Server) => {
        silent.delete(addressOf(server));
        answered += 1;
        if (answered === needed) resolve();
      };
      const onFailure = (server: Server, error: unknown) => {
        silent.delete(addressOf(server));
        failures.push(`${addressOf(server)}: ${describeError(error)}`);
        if (servers.length - failures.length < needed) fail(failures);
      };
      for (const server of servers) {
        ask(server).then(
          () => onAnswer(server),
          (error: unknown) => onFailure(server, error),
        );
      }
    });
  } finally {
    signal.removeEventListener('abort', onAbort);
    for (const socket of sockets) socket.destroy();
  }
}

function validateClient(client: Pick<Client, 'servers'> | undefined): void {
  if (Array.isArray(client?.servers)) return;
  throw new ConfigurationError(`Expected a client of memjs, got ${showType(client)}. Bind what \`Client.create()\` gives.`);
}

function addressOf({ host, port }: Server): string {
  return `${host.includes(':') ? `[${host}]` : host}:${String(port)}`;
}

function countNeeded(required: unknown, servers: number): number {
  if (servers === 0) throw new ConfigurationError('The client of checkMemjs() has no servers. Create it with one at least.');
  if (required === 'all') return servers;
  if (required === 'any') return 1;
  if (typeof required === 'number' && Number.isInteger(required) && required >= 1 && required <= servers) return required;
  throw new ConfigurationError(
    `Expected \`require\` of checkMemjs() to be "all", "any" or a whole number from 1 to ${String(servers)}, the servers of the client, got ${show(required)}.`,
  );
}

const OPCODE_STAT = 0x10;
const OPCODE_SASL_AUTH = 0x21;
const RESPONSE_MAGIC = 0x81;

/** Hundreds of times what a server has to say. */
const LONGEST_ANSWER_BYTES = 1_048_576;

const OTHER_PROTOCOL = 'the server does not speak the binary protocol of memcached';

/** Resolves when the server has sent all of its statistics. */
function askStats(socket: Socket, { username, password }: Server): Promise<void> {
  const hasCredentials = username !== undefined && username !== '' && password !== undefined && password !== '';
  return new Promise((resolve, reject) => {
    let unread = Buffer.alloc(0);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the server hung up before it had answered')));
    socket.once('connect', () => {
      socket.write(
        hasCredentials ? Utils.makeRequestBuffer(OPCODE_SASL_AUTH, 'PLAIN', '', `\0${username}\0${password}`, 0) : statRequest(),
      );
    });
    socket.on('data', (chunk) => {
      if (socket.bytesRead > LONGEST_ANSWER_BYTES) return reject(new Error('the server sends on and on: its answer is longer than 1 MiB'));
      unread = Buffer.concat([unread, chunk]);
      if (unread[0] !== RESPONSE_MAGIC) return reject(new Error(OTHER_PROTOCOL));
      for (let response = readResponse(unread); response !== undefined; response = readResponse(unread)) {
        unread = unread.subarray(HEADER_BYTES + response.header.totalBodyLength);
        if (response.header.status !== 0)
          return reject(new Error(`the server refused with status ${String(response.header.status)}: ${response.val.toString()}`));
        if (response.header.opcode === OPCODE_SASL_AUTH) socket.write(statRequest());
        else if (response.header.opcode !== OPCODE_STAT) return reject(new Error(OTHER_PROTOCOL));
        else if (response.header.totalBodyLength === 0) return resolve();
      }
    });
  });
}

const HEADER_BYTES = 24;

function statRequest(): Buffer {
  return Utils.makeRequestBuffer(OPCODE_STAT, '', '', '', 0);
}

/** A whole response, or nothing as long as a part of it is missing. */
function readResponse(unread: Buffer): Response | undefined {
  return Utils.parseMessage(unread) || undefined;
}
