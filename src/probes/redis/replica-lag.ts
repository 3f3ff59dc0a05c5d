import { errorBecauseOf } from '../shared/connection-error.js';
import { askTogether, Refusal } from './commands.js';
import type { RedisConnection } from './connection.js';

/** Resolves if the server is a master, or a replica that has heard from its master within that time. Redis reports the time in whole seconds. */
export async function checkLag(connection: RedisConnection, signal: AbortSignal, maxLagMs: number): Promise<void> {
  const { name } = connection;
  const [answer] = await askTogether(connection, signal, [['INFO', 'replication']]);
  if (answer instanceof Refusal)
    throw errorBecauseOf(`${name}: \`maxLagMs\` needs INFO, but the user may not run it. Allow +info`, answer.error);
  const info = new Map(Array.from(String(answer).matchAll(/^(\w+):(.*?)\r?$/gm), ([, field = '', value = '']) => [field, value]));
  if (info.get('role') === 'master') return;
  const isLinked = info.get('master_link_status') === 'up';
  const seconds = Number(info.get(isLinked ? 'master_last_io_seconds_ago' : 'master_link_down_since_seconds') ?? NaN);
  if (seconds >= 0 && seconds * 1_000 <= maxLagMs) return;
  const master = `its master ${info.get('master_host') ?? ''}:${info.get('master_port') ?? ''}`;
  const since =
    seconds >= 0 ? `for ${String(seconds)} s, more than \`maxLagMs\` allows (${String(maxLagMs / 1_000)} s)` : 'since it was started';
  throw new Error(`${name}: the replica has ${isLinked ? 'heard nothing from' : 'had no link to'} ${master} ${since}`);
}
