import { describeError } from '../../errors.js';
import { isClosed, type KnexClient, type KnexConnection } from './client.js';

/** Describes the database in a message: its name, dialect, host, port and database, but never the user. `postgresql 10.0.0.7:5432/shop`. */
export function describeServer({ dialect = 'database', connectionSettings = {} }: KnexClient, name?: string): string {
  const { filename, socketPath, host, server = host, port, database } = readUrl(connectionSettings);
  const address = filename ?? socketPath ?? (isGiven(server) ? bracket(server) : undefined);
  const place = [
    isGiven(address) ? ` ${address}` : '',
    isGiven(address) && isGiven(port) ? `:${String(port)}` : '',
    isGiven(database) ? `${isGiven(address) ? '/' : ' '}${database}` : '',
  ];
  return `${name === undefined ? '' : `${name}: `}${dialect}${place.join('')}`;
}

/** Creates the error for the operator: the database, the kind of failure, and the message of the driver. It keeps the `code` of the driver's error. */
export function explainFailure(server: string, error: unknown, connection?: KnexConnection): Error & { code?: unknown } {
  const explained = new Error(`${server}: ${explain(error, connection)}`);
  return Object.assign(explained, fieldOf(error, 'code') === undefined ? {} : { code: fieldOf(error, 'code') });
}

export function explain(error: unknown, connection?: KnexConnection): string {
  const text = describeError(error);
  const code = isServerAnswer(error) ? ` (${String(fieldOf(error, 'code'))})` : '';
  if (connection !== undefined && isLoss(error, connection)) return `connection lost: ${text}${code}`;
  if (code !== '') return `rejected: ${text}${code}`;
  const kind = KINDS[String(fieldOf(error, 'code'))];
  return kind === undefined ? text : `${kind}: ${text}`;
}

const KINDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ENOENT: 'connection refused',
  ENOTFOUND: 'unreachable',
  EAI_AGAIN: 'unreachable',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  ETIMEDOUT: 'unreachable',
  ECONNRESET: 'connection lost',
  EPIPE: 'connection lost',
  PROTOCOL_CONNECTION_LOST: 'connection lost',
};

/** Returns whether the error comes from the server itself. Such an error has a severity in PostgreSQL and an SQL state in MySQL. */
export function isServerAnswer(error: unknown): boolean {
  return typeof fieldOf(error, 'severity') === 'string' || typeof fieldOf(error, 'sqlState') === 'string';
}

/**
 * Returns whether a query failed because its connection was lost. The server may have been gone for a long time.
 * The state of the connection is the best sign: pg reports a regular end (FIN) without a code, and the text depends on the driver, its version and Knex.
 */
export function isLoss(error: unknown, connection: KnexConnection): boolean {
  return isClosed(connection) || fieldOf(error, 'fatal') === true || LOSSES.test(String(fieldOf(error, 'code')));
}

/** Codes of Node and mysql2, and codes of servers that report why they close the connection: PostgreSQL's classes 08 (connection) and 57P (shutdown, idle session). */
const LOSSES =
  /^(?:ECONN(?:RESET|ABORTED)|EPIPE|ETIMEDOUT|E(?:HOST|NET)(?:UNREACH|DOWN)|PROTOCOL_CONNECTION_LOST|ER_(?:CLIENT_INTERACTION_TIMEOUT|CONNECTION_KILLED|SERVER_SHUTDOWN|NORMAL_SHUTDOWN)|08\w{3}|57P0[1235]|25P0[34])$/;

export function fieldOf(error: unknown, field: string): unknown {
  return typeof error === 'object' && error !== null ? (error as Record<string, unknown>)[field] : undefined;
}

/** Settings may be a URL, which contains the password. */
function readUrl(settings: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { connectionString } = settings;
  if (typeof connectionString !== 'string' || !URL.canParse(connectionString)) return settings;
  const { hostname, port, pathname } = new URL(connectionString);
  return { host: hostname, port, database: pathname.slice(1) };
}

function isGiven(value: unknown): value is string | number {
  return (typeof value === 'string' && value !== '') || typeof value === 'number';
}

function bracket(host: string | number): string {
  const name = String(host);
  return name.includes(':') && !name.startsWith('[') ? `[${name}]` : name;
}
