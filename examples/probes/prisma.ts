// Readiness of a database behind Prisma: `SELECT 1` through the application's own client.
import type { getPrismaClient } from '@prisma/client/runtime/client';
import { inject, type ServiceIdentifier } from 'inversify';
import { ReadinessProbe, type ProbeContext } from 'koa-probes';

/** What every generated client has, whatever its schema. In an application, import `PrismaClient` from the folder that `prisma generate` writes. */
type PrismaClient = Pick<InstanceType<ReturnType<typeof getPrismaClient>>, '$queryRaw'>;

export const PRISMA: ServiceIdentifier<PrismaClient> = Symbol.for('example.PRISMA');

/**
 * - `$connect()` proves nothing: where the client is connected it returns at once, and with a driver adapter it opens no connection.
 * - No query takes a signal, and `$transaction()` with a `timeout` does not bound the wait for a connection. The adapter's driver does. Give it both bounds, shorter than the probe's,
 *   or a query that nobody awaits any more keeps a connection of the pool: `new PrismaPg({ connectionString, connectionTimeoutMillis: 500, query_timeout: 700 })`.
 * - A query of Prisma begins when it is awaited, not when it is called.
 */
@ReadinessProbe({ name: 'prisma', timeoutMs: 800 })
export class PrismaProbe {
  constructor(@inject(PRISMA) private readonly prisma: PrismaClient) {}

  async check({ signal }: ProbeContext): Promise<void> {
    let onAbort = () => {};
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => reject(signal.reason as Error);
      signal.addEventListener('abort', onAbort, { once: true });
    });
    try {
      await Promise.race([this.prisma.$queryRaw`SELECT 1`, aborted]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }
}
