import { createServer } from 'node:http';
import { Container } from 'inversify';
import knex from 'knex';
import Koa from 'koa';
import { discoverProbes, gracefulShutdown, NotReady, probeMiddleware, ProbeRegistry, ReadinessProbe } from 'koa-probes';
import { DATABASE } from 'koa-probes/knex';
import { statusPage } from 'koa-probes/page';

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

export const probes = new ProbeRegistry();
const app = new Koa();
app.use(probeMiddleware(probes)); // first
app.use(statusPage(probes)); // for people: http://localhost:3000/probes

let isOn = true;
app.use((ctx) => {
  if (ctx.method === 'POST' && ctx.path === '/toggle') probes.lifecycle.setReady((isOn = !isOn), 'switched off by hand');
  else if (ctx.method === 'POST') jobs.push(ctx.path);
  ctx.body = isOn ? 'Hello\n' : 'Hello, but not ready\n';
});

const answer = app.callback();
const server = createServer((request, response) => void answer(request, response));
gracefulShutdown(server, probes); // SIGTERM, from here on: ready 503, live 200, drain, close, exit 0
await discoverProbes(container, { registry: probes }); // finds BacklogProbe and the database
server.listen(Number(process.env['PORT'] ?? 3000), () => console.log('listening on', server.address()));
