import { Degraded } from '../../errors.js';
import type { KnexClient, KnexPool, PendingAcquire } from './client.js';
import { explain } from './failure.js';
import { suspectOfConnecting, suspectOfValidating } from './suspects.js';
import { isCancelling } from './under-cancel.js';

/** Why no connection has come, told from the pool's numbers and the settings of the Knex. */
export function describeWait(client: KnexClient, pool: KnexPool, pending?: PendingAcquire): string {
  const { used, validating, connecting, share } = count(pool);
  if (pool.max !== undefined && used >= pool.max) {
    if (isCancelling(pool)) return `silent: the query of an earlier check is still being cancelled (${share})`;
    return `pool exhausted: ${share}`;
  }
  if (connecting > 0) return `silent: ${suspectOfConnecting(client, connecting)} (${share})`;
  if (validating > 0) return `silent: ${suspectOfValidating(client)} (${share})`;
  if (pending?.possibleTimeoutCause) return explain(pending.possibleTimeoutCause);
  return 'no connection from the pool';
}

/** The pool is busy and no more than that: connections have come back while the check waited. The public may read it, so the server is in the cause. */
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
