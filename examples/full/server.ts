// A service with PostgreSQL and memcached: all probes on a management port, readiness under an own path on the public one.
import { createServer } from 'node:http';
import Router from '@koa/router';
import { Container, inject, injectable, type ServiceIdentifier } from 'inversify';
import knex, { type Knex } from 'knex';
import Koa from 'koa';
import {
  discoverProbes,
  gracefulShutdown,
  LivenessProbe,
  NotReady,
  ProbeRegistry,
  probeServer,
  ReadinessProbe,
  StartupProbe,
  type ProbeContext,
} from 'koa-probes';
import { checkKnex, DATABASE } from 'koa-probes/knex';
import { MEMCACHED } from 'koa-probes/memjs';
import { statusPage, type PageRequest } from 'koa-probes/page';
import { probeView } from 'koa-probes/router';
import memjs from 'memjs';

/** What the application itself injects. `DATABASE` is for the probes, and says what they must check of it. */
const KNEX = Symbol.for('KNEX') as ServiceIdentifier<Knex>;

/** A probe can stand on a class of the domain: here the service that the routes use reports on itself. */
@injectable()
@ReadinessProbe({ name: 'visits' })
export class VisitCounter {
  constructor(@inject(MEMCACHED) private readonly cache: memjs.Client) {}

  async count(): Promise<number> {
    const { success, value } = await this.cache.increment('visits', 1, { initial: 1 });
    if (!success) throw new Error('memcached does not count');
    return value ?? 0;
  }

  async check() {
    const { value } = await this.cache.get('visits');
    return { visits: Number(value ?? 0) };
  }
}

/** Runs until it has passed once; the pod gets no requests before. */
@StartupProbe({ timeoutMs: 2_000 })
export class SchemaProbe {
  constructor(@inject(KNEX) private readonly database: Knex) {}

  async check(context: ProbeContext) {
    await checkKnex(this.database, context);
    if (!(await this.database.schema.hasTable('visits'))) throw new NotReady('the table of the visits is missing');
  }
}

/** Liveness looks at the process alone: restarting it does not mend a database. */
@LivenessProbe()
export class MemoryProbe {
  check() {
    const residentMiB = Math.round(process.memoryUsage.rss() / 1_048_576);
    if (residentMiB > 1_024) throw new Error(`${String(residentMiB)} MiB are resident`);
    return { residentMiB };
  }
}

const database = knex({ client: 'pg', connection: process.env['DATABASE_URL'] ?? 'postgres://postgres@127.0.0.1/postgres' });
const cache = memjs.Client.create(process.env['MEMCACHE_SERVERS'] ?? '127.0.0.1:11211');

const container = new Container();
container
  .bind(KNEX)
  .toConstantValue(database)
  .onDeactivation((one) => one.destroy());
container.bind(DATABASE).toConstantValue({ knex: database, access: 'write' });
container
  .bind(MEMCACHED)
  .toConstantValue(cache)
  .onDeactivation((one) => one.close());
container.bind(VisitCounter).toSelf().inSingletonScope();

export const probes = new ProbeRegistry();
const visits = container.get(VisitCounter);
const router = new Router();
router.get('/internal/ready', probeView(probes, 'readiness'));
router.post('/migrate', async (ctx) => {
  await database.schema.createTable('visits', (table) => table.increments());
  ctx.status = 204;
});
router.get('/visits', async (ctx) => {
  ctx.body = `${String(await visits.count())}\n`;
});
const answer = new Koa().use(router.routes()).callback();
const server = createServer((request, response) => void answer(request, response));

// Before the discovery: a SIGTERM during the start ends it, and the container deactivates the database and the cache.
gracefulShutdown(server, probes);
await discoverProbes(container, {
  registry: probes,
  disabled: process.env['DISABLED_PROBES']?.split(',') ?? [],
  settings: { database: { timeoutMs: 500 }, memcached: { timeoutMs: 300 } },
});
// The management port answers to the end: it is closed with the probes, before the container deactivates the database and the cache.
const management = await probeServer(probes, {
  port: Number(process.env['MANAGEMENT_PORT'] ?? 9090),
  details: 'all',
  page: statusPage(probes, { path: '/', title: 'visits', details: 'all', authorize: operatorOf }),
});
server.listen(Number(process.env['PORT'] ?? 3000), () => {
  console.log('listening on', server.address(), 'and', management.address());
});

/** Who may use the buttons of the status page: whoever knows the password, at http://name:password@localhost:9090/. Everybody on the management port may look. */
function operatorOf({ headers }: PageRequest): string | undefined {
  const [, credentials = ''] = /^Basic (.+)$/.exec(headers.authorization ?? '') ?? [];
  const [name, password] = Buffer.from(credentials, 'base64').toString().split(':');
  return password !== undefined && password === process.env['OPERATOR_PASSWORD'] ? name : undefined;
}
