import { giveUpIdle, type KnexPool } from './client.js';

/** How many runs in a row have got a connection but no answer from the server. */
const silentRuns = new WeakMap<KnexPool, number>();

export function noteAnswer(pool: KnexPool): void {
  silentRuns.delete(pool);
}

/**
 * From the second such run in a row on, all idle connections are closed. If the server has disappeared without closing them, each would make one more run fail.
 * Knex closes each the next time the pool would use it.
 */
export function noteSilence(pool: KnexPool): void {
  const runs = (silentRuns.get(pool) ?? 0) + 1;
  silentRuns.set(pool, runs);
  if (runs >= 2) giveUpIdle(pool, 'closed by a health check: two checks had no answer on other connections');
}
