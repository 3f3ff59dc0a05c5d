import type { Context, Middleware } from 'koa';
import { markAsAnswered } from '../http/answered.js';
import { createAnswerer, ENDPOINT_OPTION_NAMES, type EndpointOptions, type ProbeAnswer } from '../http/endpoint.js';
import { createHangUpLog } from '../http/hang-ups.js';
import { createUrlMatcher, type ProbeTarget } from '../http/paths.js';
import type { ProbeRegistry } from '../registry/registry.js';
import { rejectUnknownOptions } from '../validation.js';
import { CURE, findMiddlewareBefore, watchForChangedAnswer, watchForOtherAnswers } from './placement.js';

export type ProbeMiddlewareOptions = EndpointOptions<Context>;

/**
 * Answers the probes, and hands every other request on untouched. Make it the first middleware, so that no other can fail, delay or redirect a probe.
 * It warns if it is not the first, or if a probe was answered by something else.
 *
 * @throws ConfigurationError if an option is out of its range or a path is not fit.
 */
export function probeMiddleware(probes: ProbeRegistry, options: ProbeMiddlewareOptions = {}): Middleware {
  rejectUnknownOptions('probeMiddleware()', options, ENDPOINT_OPTION_NAMES);
  const matchUrl = createUrlMatcher(options.paths);
  const answer = createAnswerer('probeMiddleware()', probes, options);
  const deliver = createDelivery(probes);
  let isPlaceChecked = false;
  watchForOtherAnswers(matchUrl, probes);

  // Not async, and `ctx.req` and not `ctx`: each costs a request that is not a probe more than all else here.
  return function answerProbes(ctx, next) {
    const target = matchUrl(ctx.req.url ?? '');
    if (target === undefined || (ctx.req.method !== 'GET' && ctx.req.method !== 'HEAD')) {
      if (!isPlaceChecked) {
        isPlaceChecked = true;
        warnIfNotFirst(ctx, answerProbes, probes);
      }
      return next();
    }
    return answer(target, ctx.req.headers.accept, ctx).then((answered) => deliver(ctx, target, answered));
  };
}

/** Writes an answer, and says what keeps it from who asked. */
function createDelivery(probes: ProbeRegistry): (ctx: Context, target: ProbeTarget, answered: ProbeAnswer) => void {
  const noteDelivery = createHangUpLog(probes);
  let isChangeTold = false;
  return (ctx, { kind, title }, answered) => {
    noteDelivery(kind, ctx.res);
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

export function writeAnswer(ctx: Context, { status, headers, body }: ProbeAnswer): void {
  markAsAnswered(ctx.res);
  ctx.status = status;
  for (const [name, value] of Object.entries(headers)) if (name !== 'Content-Length') ctx.res.setHeader(name, value);
  // Koa sets the length.
  ctx.body = body;
}

function warnIfNotFirst(ctx: Context, self: Middleware, probes: ProbeRegistry): void {
  const before = findMiddlewareBefore(ctx, self);
  if (before === undefined) return;
  probes.logger.warn(
    `probeMiddleware is not the first middleware, ${before} is: what stands before it can fail, delay or redirect a probe. ${CURE}`,
  );
}
