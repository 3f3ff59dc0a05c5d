import { describeError } from '../../errors.js';
import type { KnexClient, KnexPool, PendingAcquire } from './client.js';

/** What a message calls the database: dialect, host, port and name; never the user. `postgresql 10.0.0.7:5432/shop`. */
export function describeServer({ dialect = 'database', connectionSettings = {} }: KnexClient): string {
  const { filename, socketPath, host, server = host, port, database } = readUrl(connectionSettings);
  const address = filename ?? socketPath ?? (isGiven(server) ? bracket(server) : undefined);
  const place = [
    isGiven(address) ? ` ${address}` : '',
    isGiven(address) && isGiven(port) ? `:${String(port)}` : '',
    isGiven(database) ? `${isGiven(address) ? '/' : ' '}${database}` : '',
  ];
  return `${dialect}${place.join('')}`;
}

/** Why no connection has come, told from the pool's numbers. */
export function describeWait(pool: KnexPool, pending?: PendingAcquire): string {
  const { max } = pool;
  const validating = pool.numPendingValidations?.() ?? 0;
  const used = (pool.numUsed?.() ?? 0) - validating;
  const connecting = pool.numPendingCreates?.() ?? 0;
  const share = `${String(used)} of ${String(max)} connections in use`;
  if (max !== undefined && used >= max) return `pool exhausted: ${share}`;
  if (connecting > 0) return `silent: the server has not completed a new connection (${share})`;
  if (validating > 0) return `silent: an idle connection has not been validated (${share})`;
  if (pending?.possibleTimeoutCause) return explain(pending.possibleTimeoutCause);
  return 'no connection from the pool';
}

/** The error that the operator reads: which database, which kind of failure, and the driver's own words. It keeps the driver's `code`. */
export function explainFailure(server: string, error: unknown, pool: KnexPool): Error & { code?: unknown } {
  const isTimeoutOfPool = error instanceof Error && error.constructor.name === 'TimeoutError';
  const explained = new Error(`${server}: ${isTimeoutOfPool ? describeWait(pool) : explain(error)}`);
  return Object.assign(explained, fieldOf(error, 'code') === undefined ? {} : { code: fieldOf(error, 'code') });
}

const KINDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refused',
  ENOENT: 'refused',
  ENOTFOUND: 'unreachable',
  EAI_AGAIN: 'unreachable',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  ETIMEDOUT: 'unreachable',
  ECONNRESET: 'hung up',
  EPIPE: 'hung up',
  PROTOCOL_CONNECTION_LOST: 'hung up',
};

/** What the server itself has said carries a severity in PostgreSQL and an SQL state in MySQL. */
export function isServerAnswer(error: unknown): boolean {
  return typeof fieldOf(error, 'severity') === 'string' || typeof fieldOf(error, 'sqlState') === 'string';
}

/** The connection was lost, whose other end may have been gone for long. */
export function isLoss(error: unknown): boolean {
  return ['hung up', 'unreachable'].includes(kindOf(error) ?? '');
}

function explain(error: unknown): string {
  const text = describeError(error);
  if (isServerAnswer(error)) return `rejected: ${text} (${String(fieldOf(error, 'code'))})`;
  const kind = kindOf(error);
  return kind === undefined ? text : `${kind}: ${text}`;
}

function kindOf(error: unknown): string | undefined {
  return KINDS[String(fieldOf(error, 'code'))] ?? (describeError(error).startsWith('Connection terminated') ? 'hung up' : undefined);
}

function fieldOf(error: unknown, field: string): unknown {
  return typeof error === 'object' && error !== null ? (error as Record<string, unknown>)[field] : undefined;
}

/** Settings may be a URL, and that has the password in it. */
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
