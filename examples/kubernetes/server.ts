// A service from which its pod spec follows: `koa-probes manifest` and `koa-probes lint` import this file. Nothing listens then, and no probe is run.
import { createServer } from 'node:http';
import Koa from 'koa';
import {
  discoverProbes,
  gracefulShutdown,
  NotReady,
  probeMiddleware,
  ProbeRegistry,
  probeServer,
  ReadinessProbe,
  StartupProbe,
} from 'koa-probes';

let rates: ReadonlyMap<string, number> | undefined;

/** Stands for what the application loads once. */
@StartupProbe({ timeoutMs: 2_000 })
export class RatesProbe {
  check() {
    rates ??= new Map([['EUR', 1]]);
    return { rates: rates.size };
  }
}

/** Stands for what each request needs. */
@ReadinessProbe({ timeoutMs: 1_500 })
export class StockProbe {
  check() {
    if (rates === undefined) throw new NotReady('the rates are not loaded');
  }
}

export const probes = new ProbeRegistry();
const app = new Koa();
app.use(probeMiddleware(probes)); // for everybody: reasons are withheld
app.use((ctx) => {
  ctx.body = 'Hello\n';
});

const answer = app.callback();
const server = createServer((request, response) => void answer(request, response));
gracefulShutdown(server, probes); // first: in PID 1 a signal that nobody listens for is lost
await probeServer(probes, { port: Number(process.env['MANAGEMENT_PORT'] ?? 9090), details: 'all' }); // for the kubelet, and for you
await discoverProbes(undefined, { registry: probes });
server.listen(Number(process.env['PORT'] ?? 3000), () => console.log('listening on', server.address()));
