import type { KnexClient, KnexConnection, KnexPool } from './knex-client.js';
import { isServerAnswer } from './knex-failure.js';

/** Connections that were closed with a query under way: a server goes on with that though its client is gone. */
const leftRunning = new WeakMap<KnexPool, Set<KnexConnection>>();

export function leaveRunning(pool: KnexPool, victim: KnexConnection): void {
  const victims = leftRunning.get(pool) ?? new Set();
  leftRunning.set(pool, victims.add(victim));
}

/** Has the queries that were left running cancelled, where the dialect can. Before each query of a check, so that behind a lock they do not gather at the server. */
export async function cancelLeftRunning(client: KnexClient, pool: KnexPool, helper: KnexConnection): Promise<void> {
  const victims = leftRunning.get(pool) ?? new Set();
  for (const victim of victims) {
    if (client.canCancelQuery) await client._wrappedCancelQueryCall?.(helper, victim).catch(rejectNoAnswer);
    victims.delete(victim);
  }
}

/** That the query is over by itself is an error to MySQL. */
function rejectNoAnswer(error: unknown): void {
  if (!isServerAnswer(error)) throw error;
}
