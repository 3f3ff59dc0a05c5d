import { setTimeout as pause } from 'node:timers/promises';
import type { KnexClient, KnexConnection, KnexPool, Row } from './client.js';
import { rowsOf } from './client.js';
import { isServerAnswer } from './failure.js';

/** A query that a server may go on with though its client is gone. Known by its text too: after a restart or a failover the number is somebody else's. */
interface Query {
  readonly id: number;
  readonly sql: string;
  readonly startedAt: number;
}

const leftRunning = new WeakMap<KnexPool, Set<Query>>();

/** Remembers what runs on a connection that was closed, if the dialect can cancel it. */
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
 * Has the queries that were left running cancelled. Before each query of a check, so that behind a lock they do not gather at the server.
 *
 * @throws Error if one still runs and cannot be cancelled: behind a proxy that gives connections numbers of its own, the server has another number for it.
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
    // Whoever counts has begun anew if a new connection has the number of the old one: the query is gone with what it ran on.
    if (isRenumbered && numberOf(helper) !== query.id) await rejectIfRunning(query, rows, list);
    else if (rows.some(({ id }) => Number(id) === query.id)) await say(dialect.cancel, query.id).catch(rejectNoAnswer);
    queries.delete(query);
  }
}

interface Dialect {
  /** Lists who runs a text: the number of the connection, for how many seconds, and the number of the connection that asks. */
  readonly list: string;
  readonly cancel: string;
  /** The text of a query as the server lists it. */
  readonly textOf: (sql: string) => string;
}

/** Knex's own way, `_wrappedCancelQueryCall`, goes by the number alone. */
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
    // MySQL lists a query without what is around it.
    textOf: (sql) => sql.replace(/^\s+|[\s;]+$/g, ''),
  },
};

/** How much later than the check the server may have begun to count, in seconds: it counts whole ones, from when the query reached it. */
const LATE_BY_S = 2;

/** How often, and after how many milliseconds each time, the server is asked whether a query still runs: it may be about to end. */
const LOOKS = 3;
const LOOK_AFTER_MS = 50;

/** Which of them is ours cannot be told, so none may be cancelled; but one that began when ours did is reason enough to begin no other. */
async function rejectIfRunning({ startedAt }: Query, rows: readonly Row[], list: () => Promise<Row[]>): Promise<void> {
  let forSeconds = longestOf(rows);
  for (let look = 1; look < LOOKS && isOldEnough(forSeconds, startedAt); look += 1) {
    await pause(LOOK_AFTER_MS);
    forSeconds = longestOf(await list());
  }
  if (!isOldEnough(forSeconds, startedAt)) return;
  throw new Error(
    `silent: the query of an earlier check still runs at the server, for ${String(Math.round(forSeconds * 1_000))} ms, and cannot be cancelled through this proxy`,
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

/** That the query is over by itself is an error to MySQL. */
function rejectNoAnswer(error: unknown): Row[] {
  if (!isServerAnswer(error)) throw error;
  return [];
}
