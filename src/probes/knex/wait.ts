import { Degraded } from '../../errors.js';
import type { KnexClient, KnexPool, PendingAcquire } from './client.js';
import { explain } from './failure.js';
import { suspectOfConnecting, suspectOfValidating } from './suspects.js';
import { isCancelling } from './under-cancel.js';

/** Describes why there is no connection, from the numbers of the pool and the settings of the Knex instance. */
export function describeWait(client: KnexClient, pool: KnexPool, pending?: PendingAcquire): string {
  const { used, validating, connecting, share } = count(pool);
  if (pool.max !== undefined && used >= pool.max) {
    if (isCancelling(pool)) return `no response: the query of an earlier check is still being cancelled (${share})`;
    return `pool exhausted: ${share}`;
  }
  if (connecting > 0) return `no response: ${suspectOfConnecting(client, connecting)} (${share})`;
  if (validating > 0) return `no response: ${suspectOfValidating(client)} (${share})`;
  if (pending?.possibleTimeoutCause) return explain(pending.possibleTimeoutCause);
  return 'no connection from the pool';
}

/** The error for a busy pool: connections were released while the check waited. The public may read it, so the server is only in the cause. */
export function describeBusy(pool: KnexPool, server: string, name?: string): Degraded {
  const { used } = count(pool);
  const waiting = (pool.numPendingAcquires?.() ?? 1) - 1;
  const subject = name === undefined ? '' : `${name}: `;
  const message = `${subject}pool busy: ${String(used)} of ${String(pool.max)} in use, ${String(waiting)} waiting`;
  return new Degraded(message, { cause: new Error(server) });
}

function count(pool: KnexPool) {
  const validating = pool.numPendingValidations?.() ?? 0;
  const used = (pool.numUsed?.() ?? 0) - validating;
  const connecting = pool.numPendingCreates?.() ?? 0;
  return { used, validating, connecting, share: `${String(used)} of ${String(pool.max)} connections in use` };
}
