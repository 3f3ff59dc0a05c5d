import { setTimeout as pause } from 'node:timers/promises';
import type { KnexClient, KnexConnection, KnexPool, Row } from './client.js';
import { rowsOf } from './client.js';
import { isServerAnswer } from './failure.js';

/** A query that may still run at the server after its client has disconnected. It is identified by its text too, because after a restart or a failover another connection may have its number. */
interface Query {
  readonly id: number;
  readonly sql: string;
  readonly startedAt: number;
}

const leftRunning = new WeakMap<KnexPool, Set<Query>>();

/** Remembers the query of a closed connection, if the dialect can cancel it. */
export function leaveRunning(
  { dialect = '' }: KnexClient,
  pool: KnexPool,
  connection: KnexConnection,
  sql: string,
  startedAt: number,
): void {
  const id = numberOf(connection);
  if (id === undefined || DIALECTS[dialect] === undefined) return;
  const queries = leftRunning.get(pool) ?? new Set();
  leftRunning.set(pool, queries.add({ id, sql, startedAt }));
}

/**
 * Cancels the queries that are still running. Each check calls this before its own query, so that queries that wait for a lock do not pile up at the server.
 *
 * @throws Error if a query is still running and cannot be cancelled, because a proxy has given its connection another number than the server
 */
export async function cancelLeftRunning(client: KnexClient, pool: KnexPool, helper: KnexConnection): Promise<void> {
  const dialect = DIALECTS[client.dialect ?? ''];
  const queries = leftRunning.get(pool);
  if (dialect === undefined || queries === undefined) return;
  const say = async (sql: string, ...bindings: readonly (string | number)[]) =>
    rowsOf(client, (await client.query(helper, { sql, bindings })).response);
  for (const query of queries) {
    const list = () => say(dialect.list, dialect.textOf(query.sql)).catch(rejectNoAnswer);
    const rows = await list();
    const isRenumbered = rows.some(({ own }) => Number(own) !== numberOf(helper));
    // If a new connection has the number of the old one, the server or the proxy was restarted, so the query is gone.
    if (isRenumbered && numberOf(helper) !== query.id) await rejectIfRunning(query, rows, list);
    else if (rows.some(({ id }) => Number(id) === query.id)) await say(dialect.cancel, query.id).catch(rejectNoAnswer);
    queries.delete(query);
  }
}

interface Dialect {
  /** Lists the connections that run this text, for how many seconds they have run it, and the number of the asking connection. */
  readonly list: string;
  readonly cancel: string;
  /** The text of a query as the server lists it. */
  readonly textOf: (sql: string) => string;
}

/** Knex's own `_wrappedCancelQueryCall` is not used, because it identifies a query by the number alone. */
const DIALECTS: Readonly<Record<string, Dialect>> = {
  postgresql: {
    list: `SELECT pid AS id, extract(epoch FROM clock_timestamp() - query_start) AS seconds, pg_backend_pid() AS own
      FROM pg_stat_activity WHERE query = ? AND state = 'active' AND usename = current_user`,
    cancel: 'SELECT pg_cancel_backend(?)',
    textOf: (sql) => sql,
  },
  mysql: {
    list: 'SELECT id, time AS seconds, CONNECTION_ID() AS own FROM information_schema.processlist WHERE info = ?',
    cancel: 'KILL QUERY ?',
    // MySQL lists a query without surrounding spaces and semicolons.
    textOf: (sql) => sql.replace(/^\s+|[\s;]+$/g, ''),
  },
};

/** By how many seconds the server's time for a query may be shorter than the check's. The server counts whole seconds from the arrival of the query. */
const LATE_BY_S = 2;

/** How often, and at which interval, the server is asked whether a query is still running. The query may be about to end. */
const LOOKS = 3;
const LOOK_AFTER_MS = 50;

/** Nothing tells which of the listed queries is ours, so none may be cancelled. But if one of them began when ours did, no new query is started. */
async function rejectIfRunning({ startedAt }: Query, rows: readonly Row[], list: () => Promise<Row[]>): Promise<void> {
  let forSeconds = longestOf(rows);
  for (let look = 1; look < LOOKS && isOldEnough(forSeconds, startedAt); look += 1) {
    await pause(LOOK_AFTER_MS);
    forSeconds = longestOf(await list());
  }
  if (!isOldEnough(forSeconds, startedAt)) return;
  throw new Error(
    `no response: the query of an earlier check has been running at the server for ${String(Math.round(forSeconds * 1_000))} ms, and cannot be cancelled through this proxy`,
  );
}

function longestOf(rows: readonly Row[]): number {
  return Math.max(...rows.map(({ seconds }) => Number(seconds)));
}

function isOldEnough(seconds: number, startedAt: number): boolean {
  return seconds >= Math.max(0, (performance.now() - startedAt) / 1_000 - LATE_BY_S);
}

function numberOf({ processID, threadId }: KnexConnection): number | undefined {
  return processID ?? threadId;
}

/** MySQL reports an error if the query has already ended by itself. Ignore it. */
function rejectNoAnswer(error: unknown): Row[] {
  if (!isServerAnswer(error)) throw error;
  return [];
}
