import type { Context } from 'koa';
import { markAsAnswered } from '../http/answered.js';
import type { ProbeAnswer } from '../http/endpoint.js';
import { createHangUpLog, isClientGone } from '../http/hang-ups.js';
import type { ProbeTarget } from '../http/paths.js';
import type { ProbeRegistry } from '../registry/registry.js';
import { CURE, watchForChangedAnswer } from './placement.js';

/** Writes an answer, and tells the operator what keeps it from the prober. */
export type Delivery = (ctx: Context, target: Pick<ProbeTarget, 'kind' | 'title'>, answered: ProbeAnswer) => void;

export function createDelivery(probes: ProbeRegistry): Delivery {
  const noteDelivery = createHangUpLog(probes);
  let isChangeTold = false;
  return (ctx, { kind, title }, answered) => {
    noteDelivery(kind, isClientGone(ctx.res));
    // Another middleware has answered meanwhile, a timeout for example.
    if (ctx.headerSent) return;
    writeAnswer(ctx, answered);
    if (answered.status === 200 || isChangeTold) return;
    watchForChangedAnswer(ctx, answered.status, (changedTo) => {
      if (isChangeTold) return;
      isChangeTold = true;
      probes.logger.warn(
        `the answer ${String(answered.status)} of ${title} was changed to ${String(changedTo)} by another middleware, so a failure may pass for a success. ${CURE}`,
      );
    });
  };
}

function writeAnswer(ctx: Context, { status, headers, body }: ProbeAnswer): void {
  markAsAnswered(ctx.res);
  ctx.status = status;
  // Koa sets the length.
  for (const [name, value] of Object.entries(headers)) if (name !== 'Content-Length') ctx.res.setHeader(name, value);
  ctx.body = body;
}
