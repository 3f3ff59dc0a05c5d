import type { Context, Middleware } from 'koa';
import { createAnswerer, ENDPOINT_OPTION_NAMES, type EndpointOptions, type ProbeAnswer } from '../http/endpoint.js';
import { createUrlMatcher } from '../http/paths.js';
import type { ProbeRegistry } from '../registry/registry.js';
import { rejectUnknownOptions } from '../validation.js';

export type ProbeMiddlewareOptions = EndpointOptions<Context>;

/**
 * Answers the probes, and hands every other request on untouched. Make it the first middleware, so that no other can fail, delay or redirect a probe.
 *
 * @throws ConfigurationError where an option is out of its range or a path is not fit.
 */
export function probeMiddleware(probes: ProbeRegistry, options: ProbeMiddlewareOptions = {}): Middleware {
  rejectUnknownOptions('probeMiddleware()', options, ENDPOINT_OPTION_NAMES);
  const matchUrl = createUrlMatcher(options.paths);
  const answer = createAnswerer('probeMiddleware()', probes, options);
  let isPlaceChecked = false;

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
    return answer(target, ctx.req.headers.accept, ctx).then((answered) => writeAnswer(ctx, answered));
  };
}

export function writeAnswer(ctx: Context, { status, headers, body }: ProbeAnswer): void {
  ctx.status = status;
  for (const [name, value] of Object.entries(headers)) if (name !== 'Content-Length') ctx.res.setHeader(name, value);
  // Koa sets the length.
  ctx.body = body;
}

/** Inside another middleware (a mounted or composed one) its place cannot be seen, and nothing is said. */
function warnIfNotFirst(ctx: Context, self: Middleware, probes: ProbeRegistry): void {
  const place = ctx.app.middleware.indexOf(self);
  if (place <= 0) return;
  const before = ctx.app.middleware[0]?.name ?? '';
  probes.logger.warn(
    `probeMiddleware is not the first middleware, ${before === '' ? 'an unnamed one' : before} is: what stands before it can fail, delay or redirect a probe. Call app.use(probeMiddleware(probes)) first.`,
  );
}
