import type { KnexPool } from './client.js';

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

export function isCancelling(pool: KnexPool): boolean {
  return (underCancel.get(pool)?.size ?? 0) > 0;
}
