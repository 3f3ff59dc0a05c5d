import Router from '@koa/router';
import type { Context } from 'koa';
import { toOneLine } from '../errors.js';
import { ANSWER_OPTION_NAMES, summariseAnswers, type AnswerOptions } from '../http/answer-options.js';
import { createAnswerer, ENDPOINT_OPTION_NAMES } from '../http/endpoint.js';
import { groupPaths, resolvePaths } from '../http/paths.js';
import { PROBE_KINDS, type ProbeKind } from '../probe.js';
import type { ProbeRegistry } from '../registry/registry.js';
import type { ServedPaths } from '../registry/serving.js';
import { checkOneOf, rejectUnknownOptions } from '../validation.js';
import { createDelivery } from './delivery.js';
import type { ProbeMiddlewareOptions } from './probe-middleware.js';

/** What a view needs of the context: that of Koa, with the parameters of a router where there is one. */
export type ProbeViewContext = Context & { params?: Readonly<Record<string, string | undefined>> };

export type ProbeView = (ctx: ProbeViewContext) => Promise<void>;

/**
 * A router that answers the probes, for an application that mounts them under a prefix or behind other middleware.
 *
 * @throws ConfigurationError where an option is out of its range or a path is not fit.
 */
export function probeRouter(probes: ProbeRegistry, options: ProbeMiddlewareOptions = {}): Router {
  rejectUnknownOptions('probeRouter()', options, ENDPOINT_OPTION_NAMES);
  const { paths, ...answerOptions } = options;
  const router = new Router({ sensitive: true });
  for (const { kind, path } of resolvePaths(paths)) {
    router.get(`${escapePattern(path)}{/*name}`, createView(probes, kind, answerOptions));
  }
  const summary = summariseAnswers(answerOptions);
  const ownPaths = groupPaths(paths);
  // The application may set the prefix later.
  probes.servingNotes.noteAnswerer(() => ({ by: 'router', paths: addPrefix(router.opts.prefix ?? '', ownPaths), ...summary }));
  return router;
}

/**
 * A view for a path of your own: `router.get('/internal/ready', probeView(probes, 'readiness'))`.
 * A route parameter `name` asks for one probe alone.
 *
 * @throws ConfigurationError where the kind is unknown or an option is out of its range.
 */
export function probeView(probes: ProbeRegistry, kind: ProbeKind, options: AnswerOptions<Context> = {}): ProbeView {
  checkOneOf('probeView()', 'kind', kind, PROBE_KINDS);
  rejectUnknownOptions('probeView()', options, ANSWER_OPTION_NAMES);
  const view = createView(probes, kind, options);
  const answerer = { by: 'view' as const, kind, ...summariseAnswers(options) };
  probes.servingNotes.noteAnswerer(() => answerer);
  return view;
}

function createView(probes: ProbeRegistry, kind: ProbeKind, options: AnswerOptions<Context>): ProbeView {
  const answer = createAnswerer('probeView()', probes, options);
  const deliver = createDelivery(probes);

  return async function answerProbe(ctx) {
    const title = toOneLine(ctx.path)
      .replace(/^\/+|\/+$/g, '')
      .slice(0, 200);
    const name = ctx.params?.['name']?.replace(/\/$/, '') || undefined;
    deliver(ctx, kind, await answer({ kind, path: ctx.path, title, name, query: ctx.querystring }, ctx.req.headers.accept, ctx));
  };
}

function addPrefix(prefix: string, paths: ServedPaths): ServedPaths {
  const prefixed = PROBE_KINDS.map((kind) => [kind, paths[kind].map((path) => `${prefix}${path}`)]);
  return Object.fromEntries(prefixed) as Record<ProbeKind, readonly string[]>;
}

/** The path itself, whatever its letters mean in a pattern of the router. */
function escapePattern(path: string): string {
  return path.replace(/[{}()[\]+?!:*\\]/g, '\\$&');
}
