import type { Context, Middleware } from 'koa';
import { createAnswerer, ENDPOINT_OPTION_NAMES, type EndpointOptions } from '../http/endpoint.js';
import { summariseAnswers } from '../http/answer-options.js';
import { createUrlMatcher, groupPaths, resolvePaths } from '../http/paths.js';
import type { ProbeRegistry } from '../registry/registry.js';
import { rejectUnknownOptions } from '../validation.js';
import { createDelivery } from './delivery.js';
import { CURE, findMiddlewareBefore, watchForOtherAnswers } from './placement.js';

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
  const paths = resolvePaths(options.paths).map(({ path }) => path);
  watchForOtherAnswers(matchUrl, paths, probes);
  const answerer = { by: 'middleware' as const, paths: groupPaths(options.paths), ...summariseAnswers(options) };
  probes.servingNotes.noteAnswerer(() => answerer);

  // Not async, and `ctx.req` and not `ctx`: each costs a request that is not a probe more than all else here.
  return function answerProbes(ctx, next) {
    const target = matchUrl(ctx.req.url ?? '');
    if (!isPlaceChecked) {
      isPlaceChecked = true;
      warnIfNotFirst(ctx, answerProbes, probes);
    }
    if (target === undefined || (ctx.req.method !== 'GET' && ctx.req.method !== 'HEAD')) return next();
    return answer(target, ctx.req.headers.accept, ctx).then((answered) => deliver(ctx, target.kind, answered));
  };
}

function warnIfNotFirst(ctx: Context, self: Middleware, probes: ProbeRegistry): void {
  const before = findMiddlewareBefore(ctx, self);
  if (before === undefined) return;
  probes.logger.warn(
    `probeMiddleware is not the first middleware, ${before} is: what stands before it can fail, delay or redirect a probe. ${CURE}`,
  );
}
