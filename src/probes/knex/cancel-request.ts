import { isIP } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { KnexClient, KnexConnection } from './client.js';

/** How long a query may take to end after it was cancelled, before it is asked once more: the first request may have come before the query itself. */
const RETRY_AFTER_MS = 50;

/** Whether the driver knows what a cancel request needs: pg does, and its native binding does not. */
export function canRequestCancel({ dialect }: KnexClient, connection: KnexConnection): boolean {
  return (
    dialect === 'postgresql' && isNumber(connection.processID) && isNumber(connection.secretKey) && protocolOf(connection) !== undefined
  );
}

/**
 * Sends PostgreSQL's CancelRequest for the query that runs on the connection, again and again until `answered` settles or the signal is aborted.
 *
 * It names the connection by its `processID` and `secretKey`, so it means that query and no other, and a pooler (PgBouncer) hands it on to the server that has the
 * query. It takes a connection of its own, and a pooler knows the query only while the connection of that is open: close it afterwards.
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

/** Resolves when the other side has closed the connection, as it does once it has handled the request, or cannot be reached. */
function sendRequest({ connectionSettings }: KnexClient, connection: KnexConnection, signal: AbortSignal): Promise<void> {
  const Protocol = protocolOf(connection)!;
  const { processID, secretKey, host = '', port, ssl, sslNegotiation } = connection;
  const { stream } = connectionSettings ?? {};
  const request = new Protocol({
    ssl: ssl && verifyAs(host, ssl),
    sslNegotiation,
    // A function that makes the socket, as the connectors of cloud providers have it.
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

/** To the address that the query went to, since the name may have another one by now; the certificate is still that of the name. */
function verifyAs(host: string, ssl: boolean | object): object {
  const settings: Record<string, unknown> = { host, ...(isIP(host) === 0 ? { servername: host } : {}), ...(ssl === true ? {} : ssl) };
  // pg hides the key from those who copy.
  if (ssl !== true && 'key' in (ssl as object)) settings['key'] = (ssl as { key: unknown }).key;
  return settings;
}

/** The class of pg that speaks the protocol: that of the connection itself, so that it is the same version, with the same TLS. */
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
