import type { Context } from 'koa';
import { markAsAnswered } from '../http/answered.js';
import type { ProbeAnswer } from '../http/endpoint.js';
import { createHangUpLog, isClientGone } from '../http/hang-ups.js';
import type { ProbeKind } from '../probe.js';
import type { ProbeRegistry } from '../registry/registry.js';

/** Writes an answer, and tells the operator if the prober is gone. */
export type Delivery = (ctx: Context, kind: ProbeKind, answer: ProbeAnswer) => void;

export function createDelivery(probes: ProbeRegistry): Delivery {
  const noteDelivery = createHangUpLog(probes);
  return (ctx, kind, { status, headers, body }) => {
    noteDelivery(kind, isClientGone(ctx.res));
    // Another middleware has answered meanwhile, a timeout for example.
    if (ctx.headerSent) return;
    markAsAnswered(ctx.res);
    // Sent here and not by Koa: no middleware can turn a failure into a success then, and it costs a fifth less.
    ctx.res.writeHead(status, headers).end(body);
  };
}
