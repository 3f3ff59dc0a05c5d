import { Degraded } from '../../errors.js';
import type { KnexClient, KnexPool, PendingAcquire } from './client.js';
import { explain } from './failure.js';

/** Why no connection has come, told from the pool's numbers and the settings of the Knex. */
export function describeWait(client: KnexClient, pool: KnexPool, pending?: PendingAcquire): string {
  const { used, validating, connecting, share } = count(pool);
  if (pool.max !== undefined && used >= pool.max) {
    if ((underCancel.get(pool)?.size ?? 0) > 0) return `silent: the query of an earlier check is still being cancelled (${share})`;
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

/** What of earlier checks is being cancelled. Each keeps a connection meanwhile. */
const underCancel = new WeakMap<KnexPool, Set<Promise<void>>>();

/** Has the next check wait for it, so that it begins no query while an old one may still run. */
export async function noteCancelling(pool: KnexPool, cancelling: Promise<void>): Promise<void> {
  const all = underCancel.get(pool) ?? new Set();
  underCancel.set(pool, all.add(cancelling));
  await cancelling.finally(() => all.delete(cancelling));
}

export async function untilCancelled(pool: KnexPool): Promise<void> {
  await Promise.all(underCancel.get(pool) ?? new Set<Promise<void>>());
}

function count(pool: KnexPool) {
  const validating = pool.numPendingValidations?.() ?? 0;
  const used = (pool.numUsed?.() ?? 0) - validating;
  const connecting = pool.numPendingCreates?.() ?? 0;
  return { used, validating, connecting, share: `${String(used)} of ${String(pool.max)} connections in use` };
}

function suspectOfConnecting(client: KnexClient, connecting: number): string {
  if (isAskingForSettings(client)) return 'the function that is the `connection` of the Knex has not come back';
  if (connecting > (rawConnects.get(client) ?? connecting)) return '`pool.afterCreate` has not called its callback on a new connection';
  const { password } = client.connectionSettings ?? {};
  const orFunction = typeof password === 'function' ? ', or the function that is its `password` has not come back' : '';
  return `the server has not completed a new connection${orFunction}`;
}

function suspectOfValidating(client: KnexClient): string {
  if (isAskingForSettings(client)) return 'the function that is the `connection` of the Knex has not come back';
  if (client.config?.pool?.validate !== undefined) return '`pool.validate` has not come back for an idle connection';
  return 'an idle connection has not been validated';
}

/** Knex calls the function while the settings that it gave last are expired. */
function isAskingForSettings(client: KnexClient): boolean {
  return client.connectionConfigProvider !== undefined && client.connectionConfigExpirationChecker?.() === true;
}

/** How many connections are being begun to the server. */
const rawConnects = new WeakMap<KnexClient, number>();

/** Tells a server that is silent from an `afterCreate` that is: Knex itself says only that a connection is not ready. */
export function watchConnecting(client: KnexClient): void {
  const isUnderWay = (client.pool?.numPendingCreates?.() ?? 0) > 0;
  if (client.config?.pool?.afterCreate === undefined || rawConnects.has(client) || isUnderWay) return;
  rawConnects.set(client, 0);
  const connect = client.acquireRawConnection.bind(client);
  const add = (change: number) => rawConnects.set(client, (rawConnects.get(client) ?? 0) + change);
  client.acquireRawConnection = () => {
    add(1);
    return connect().finally(() => add(-1));
  };
}
