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

/** The context of a view: a Koa context, with the route parameters if there is a router. */
export type ProbeViewContext = Context & { params?: Readonly<Record<string, string | undefined>> };

/** A request handler for one kind of probe. */
export type ProbeView = (ctx: ProbeViewContext) => Promise<void>;

/**
 * Creates a router that answers the probes. Use it if the application mounts the probes under a prefix or after other middleware.
 *
 * @throws ConfigurationError if an option is unknown or out of range, or a path is not valid
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
 * Creates a view for a route of the application: `router.get('/internal/ready', probeView(probes, 'readiness'))`.
 * A route parameter called `name` selects a single probe.
 *
 * @throws ConfigurationError if the kind is unknown, or an option is unknown or out of range
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

/** Escapes the characters of the path that have a meaning in a pattern of the router. */
function escapePattern(path: string): string {
  return path.replace(/[{}()[\]+?!:*\\]/g, '\\$&');
}
