import { isIP } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { KnexClient, KnexConnection } from './client.js';

/** How long to wait for a cancelled query to end before another cancel request is sent. The first one may have arrived before the query itself. */
const RETRY_AFTER_MS = 50;

/** Returns whether the driver provides what a cancel request needs. pg does, but its native binding does not. */
export function canRequestCancel({ dialect }: KnexClient, connection: KnexConnection): boolean {
  return (
    dialect === 'postgresql' && isNumber(connection.processID) && isNumber(connection.secretKey) && protocolOf(connection) !== undefined
  );
}

/**
 * Sends PostgreSQL's CancelRequest for the query on this connection, and repeats it until `answered` settles or the signal is aborted.
 *
 * The request names the connection by `processID` and `secretKey`, so it cannot cancel another query. PgBouncer forwards it to the server that runs the query.
 * The request needs a separate connection. A pooler knows the query only while the connection of the query is open, so close that connection afterwards.
 */
export async function requestCancel(
  client: KnexClient,
  connection: KnexConnection,
  answered: Promise<unknown>,
  signal: AbortSignal,
): Promise<void> {
  const settled = answered.then(
    () => true,
    () => true,
  );
  let isAnswered: boolean;
  do {
    const handled = sendRequest(client, connection, signal).then(() => pause(RETRY_AFTER_MS, false));
    isAnswered = await Promise.race([handled, settled]);
  } while (!isAnswered && !signal.aborted);
}

/** Resolves when the server has handled the request and closed the connection, or when it cannot be reached. */
function sendRequest({ connectionSettings }: KnexClient, connection: KnexConnection, signal: AbortSignal): Promise<void> {
  const Protocol = protocolOf(connection)!;
  const { processID, secretKey, host = '', port, ssl, sslNegotiation } = connection;
  const { stream } = connectionSettings ?? {};
  const request = new Protocol({
    ssl: ssl && verifyAs(host, ssl),
    sslNegotiation,
    // A function that creates the socket, as in the connectors of cloud providers.
    ...(typeof stream === 'function' ? { stream } : {}),
  });
  return new Promise((resolve) => {
    const end = () => {
      signal.removeEventListener('abort', end);
      request.stream.destroy?.();
      resolve();
    };
    const send = () => request.cancel(processID as number, secretKey as number);
    request.on('error', end);
    request.on('end', end);
    request.on('sslconnect', send);
    request.on('connect', () => {
      if (!ssl) send();
      else if (sslNegotiation !== 'direct') request.requestSsl();
    });
    signal.addEventListener('abort', end, { once: true });
    if (host.startsWith('/')) request.connect(`${host}/.s.PGSQL.${String(port)}`);
    else request.connect(port, connection.connection?.stream?.remoteAddress ?? host);
  });
}

/** The request goes to the address of the query, because the name may resolve to another address by now. The certificate is still checked against the name. */
function verifyAs(host: string, ssl: boolean | object): object {
  const settings: Record<string, unknown> = { host, ...(isIP(host) === 0 ? { servername: host } : {}), ...(ssl === true ? {} : ssl) };
  // pg makes the key non-enumerable, so the spread has not copied it.
  if (ssl !== true && 'key' in (ssl as object)) settings['key'] = (ssl as { key: unknown }).key;
  return settings;
}

/** Returns the protocol class of pg. It is taken from the connection itself, so that the version and the TLS implementation are the same. */
function protocolOf({ connection }: KnexConnection): ProtocolClass | undefined {
  const Protocol = connection?.constructor as (ProtocolClass & { prototype: Partial<Protocol> }) | undefined;
  return typeof Protocol?.prototype.cancel === 'function' ? Protocol : undefined;
}

type ProtocolClass = new (settings: object) => Protocol;

interface Protocol {
  readonly stream: { destroy?(): void };
  connect(portOrPath: number | string | undefined, host?: string): void;
  requestSsl(): void;
  cancel(processID: number, secretKey: number): void;
  on(event: 'connect' | 'sslconnect' | 'error' | 'end', listener: () => void): void;
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number';
}
