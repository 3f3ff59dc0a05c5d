import type { KnexClient, KnexConnection, KnexPool } from './client.js';
import { isServerAnswer } from './failure.js';

/** A query that a server goes on with though its client is gone. Known by its text too: after a restart or a failover the number is somebody else's. */
interface Query {
  readonly id: number;
  readonly sql: string;
}

const leftRunning = new WeakMap<KnexPool, Set<Query>>();

/** Remembers what runs on a connection that was closed, where the dialect can cancel it. */
export function leaveRunning({ dialect = '' }: KnexClient, pool: KnexPool, { processID, threadId }: KnexConnection, sql: string): void {
  const id = processID ?? threadId;
  if (id === undefined || CANCELS[dialect] === undefined) return;
  const queries = leftRunning.get(pool) ?? new Set();
  leftRunning.set(pool, queries.add({ id, sql }));
}

/** Has the queries that were left running cancelled. Before each query of a check, so that behind a lock they do not gather at the server. */
export async function cancelLeftRunning(client: KnexClient, pool: KnexPool, helper: KnexConnection): Promise<void> {
  const queries = leftRunning.get(pool) ?? new Set();
  for (const query of queries) {
    await CANCELS[client.dialect ?? '']?.(async (sql, ...bindings) => client.query(helper, { sql, bindings }), query).catch(rejectNoAnswer);
    queries.delete(query);
  }
}

type Say = (sql: string, ...bindings: readonly (string | number)[]) => Promise<{ readonly response: unknown }>;

/** By dialect. Knex's own way, `_wrappedCancelQueryCall`, goes by the number alone. */
const CANCELS: Readonly<Record<string, (say: Say, query: Query) => Promise<unknown>>> = {
  postgresql: (say, { id, sql }) =>
    say("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE pid = ? AND query = ? AND state = 'active'", id, sql),
  mysql: async (say, { id, sql }) => {
    // MySQL lists a query without what is around it.
    const text = sql.replace(/^\s+|[\s;]+$/g, '');
    const { response } = await say('SELECT id FROM information_schema.processlist WHERE id = ? AND info = ?', id, text);
    const [rows] = response as [readonly unknown[]];
    if (rows.length > 0) await say('KILL QUERY ?', id);
  },
};

/** That the query is over by itself is an error to MySQL. */
function rejectNoAnswer(error: unknown): void {
  if (!isServerAnswer(error)) throw error;
}
