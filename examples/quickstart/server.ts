import { Container } from 'inversify';
import knex from 'knex';
import Koa from 'koa';
import { discoverProbes, gracefulShutdown, NotReady, probeMiddleware, ReadinessProbe } from 'koa-probes';
import { DATABASE } from 'koa-probes/knex';

const jobs: string[] = [];

@ReadinessProbe({ timeoutMs: 500 })
export class BacklogProbe {
  check() {
    if (jobs.length > 100) throw new NotReady('too many jobs are waiting'); // the public reads this
    return { waiting: jobs.length }; // data for the JSON answer
  } // any other error is logged and withheld
}

const container = new Container();
const database = knex({ client: 'better-sqlite3', connection: ':memory:', useNullAsDefault: true });
container.bind(DATABASE).toConstantValue({ knex: database, access: 'write' }); // a read-only standby fails
const probes = await discoverProbes(container); // finds BacklogProbe and the database

const app = new Koa();
app.use(probeMiddleware(probes)); // first

let isOn = true;
app.use((ctx) => {
  if (ctx.method === 'POST' && ctx.path === '/toggle') probes.lifecycle.setReady((isOn = !isOn), 'switched off by hand');
  ctx.body = isOn ? 'Hello\n' : 'Hello, but not ready\n';
});

const server = app.listen(Number(process.env['PORT'] ?? 3000), () => console.log('listening on', server.address()));
gracefulShutdown(server, probes); // SIGTERM: ready 503, live 200, drain, close, exit 0
