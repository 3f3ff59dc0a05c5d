// Readiness of MongoDB: `ping` through the application's own client.
import { inject, type ServiceIdentifier } from 'inversify';
import { ReadinessProbe, type ProbeContext } from 'koa-probes';
import type { MongoClient } from 'mongodb';

export const MONGO: ServiceIdentifier<MongoClient> = Symbol.for('example.MONGO');

/**
 * - The client waits for a server that it can select before it sends anything: 30 s by default (`serverSelectionTimeoutMS`), and then for a connection of its pool,
 *   without an end by default (`waitQueueTimeoutMS`). The signal ends both waits, and a probe needs no client of its own with shorter ones.
 * - `timeoutMS` looks like the option to use. The declaration of `command()` says that it has no effect there.
 * - An answer that is awaited when the signal is aborted costs the connection: the driver closes it, since it cannot tell this answer from the next. So the server is told
 *   to give up a little sooner (`maxTimeMS`), and a slow one costs none.
 * - `ping` goes to the primary. An application that only reads can ask for less: `{ readPreference: 'nearest' }`; else it is taken out of service in each election.
 */
@ReadinessProbe({ name: 'mongodb', timeoutMs: 800 })
export class MongoProbe {
  constructor(@inject(MONGO) private readonly client: MongoClient) {}

  async check({ signal }: ProbeContext): Promise<void> {
    await this.client.db().command({ ping: 1, maxTimeMS: 600 }, { signal });
  }
}
