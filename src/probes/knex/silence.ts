import { giveUpIdle, type KnexPool } from './client.js';

/** How many runs in a row have had a connection, and no answer of the server on it. */
const silentRuns = new WeakMap<KnexPool, number>();

export function noteAnswer(pool: KnexPool): void {
  silentRuns.delete(pool);
}

/**
 * From the second such run in a row on, no idle connection is trusted: where the server has vanished without a word, each of them would fail one more run.
 * Knex closes them when the pool next comes to them.
 */
export function noteSilence(pool: KnexPool): void {
  const runs = (silentRuns.get(pool) ?? 0) + 1;
  silentRuns.set(pool, runs);
  if (runs >= 2) giveUpIdle(pool, 'given up by a health check, which had no answer on another one twice');
}
