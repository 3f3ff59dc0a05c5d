import type { Context, Middleware } from 'koa';
import { createAnswerer, ENDPOINT_OPTION_NAMES, type EndpointOptions } from '../http/endpoint.js';
import { summariseAnswers } from '../http/answer-options.js';
import { createUrlMatcher, groupPaths, resolvePaths } from '../http/paths.js';
import type { ProbeRegistry } from '../registry/registry.js';
import { rejectUnknownOptions } from '../validation.js';
import { createDelivery } from './delivery.js';
import { CURE, findMiddlewareBefore, watchForOtherAnswers } from './placement.js';

/** Options of `probeMiddleware()` and `probeRouter()`. All are optional. */
export type ProbeMiddlewareOptions = EndpointOptions<Context>;

/**
 * Answers probe requests and passes every other request on unchanged. Make it the first middleware, so that no other middleware can fail, delay or redirect a probe.
 * It logs a warning if it is not the first middleware, or if something else has answered a probe.
 *
 * @throws ConfigurationError if an option is unknown or out of range, or a path is not valid
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

  // The function is not async and reads `ctx.req` instead of `ctx`. Either one would cost a request that is not a probe more than everything else here.
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
    `probeMiddleware is not the first middleware, ${before} is: a middleware in front of it can fail, delay or redirect a probe. ${CURE}`,
  );
}
