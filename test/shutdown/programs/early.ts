// Installed before the discovery, which is slow: one binding is resolved late or never, and another one is there to be deactivated.
import { createServer } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { Container, inject, injectable } from 'inversify';
import Koa from 'koa';
import { discoverProbes, gracefulShutdown, probeMiddleware, ProbeRegistry, ReadinessProbe } from 'koa-probes';

const takesMs = Number(process.env['TAKES_MS'] ?? 700);
const container = new Container();
container
  .bind<string>('cache')
  .toConstantValue('cache')
  .onDeactivation(() => console.log('cache deactivated'));
container
  .bind<string>('database')
  .toDynamicValue(async () => {
    console.log('connecting');
    await pause(takesMs);
    if (process.env['FAIL'] === 'yes') throw new Error('no database');
    return 'database';
  })
  .inSingletonScope()
  .onDeactivation(() => console.log('database deactivated'));

@injectable()
@ReadinessProbe()
export class CacheProbe {
  constructor(@inject('cache') readonly cache: string) {}

  check() {}
}

@injectable()
@ReadinessProbe()
export class SearchProbe {
  constructor(@inject('database') readonly database: string) {}

  check() {}
}

@injectable()
@ReadinessProbe()
export class LastProbe {
  constructor() {
    console.log('last probe made');
  }

  check() {}
}

const probes = new ProbeRegistry();
const app = new Koa();
app.use(probeMiddleware(probes));
const answer = app.callback();
const server = createServer((request, response) => void answer(request, response));
const shutdown = gracefulShutdown(server, probes, { drainDelayMs: 3_000, timeoutMs: 4_000 });
shutdown.onShutdown('telemetry', () => console.log('telemetry sent'));
if (process.env['LISTEN'] === 'first') server.listen(0, '127.0.0.1', announce);
await discoverProbes(container, { registry: probes, classes: [CacheProbe, SearchProbe, LastProbe] });
console.log('discovered');
if (process.env['LISTEN'] !== 'first') server.listen(0, '127.0.0.1', announce);

function announce(): void {
  console.log(`listening on ${String((server.address() as { port: number }).port)}`);
}
