import { setTimeout as pause } from 'node:timers/promises';
import Koa from 'koa';

/** What every pod serves: it reads the request to its end and answers after the work that is asked for. */
export function createApp() {
  const app = new Koa();
  app.silent = true;
  return app.use(async (ctx) => {
    for await (const _ of ctx.req);
    await pause(Number(ctx.query.ms));
    ctx.body = 'ok';
  });
}
