import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo, Server as NetServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import Koa from 'koa';
import { probeMiddleware, ProbeRegistry } from 'koa-probes';

/** What all scenarios have in common: an application that answers `/slow?ms=1000` after that time, and everything else at once. */
export async function startApplication(probes = new ProbeRegistry()): Promise<{ server: Server; probes: ProbeRegistry }> {
  const app = new Koa();
  app.use(probeMiddleware(probes));
  app.use(async (ctx) => {
    if (ctx.path === '/slow') {
      console.log('slow request begun');
      await pause(Number(ctx.query['ms']));
    }
    ctx.body = 'done';
  });
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, probes };
}

/** The line that the test waits for: what comes before it is set up. */
export function announce(server: NetServer): void {
  console.log(`listening on ${String((server.address() as AddressInfo).port)}`);
}
