import type { KnexPool } from './client.js';

/** Queries of earlier checks that are being cancelled. Each keeps its connection until then. */
const underCancel = new WeakMap<KnexPool, Set<Promise<void>>>();

/** Makes the next check wait for the cancellation, so that it starts no query while an old one may still run. */
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
