import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';
import type { Context, Middleware } from 'koa';
import { isAnsweredByProbes, RESPONSES } from '../http/answered.js';
import type { UrlMatcher } from '../http/paths.js';
import type { ProbeRegistry } from '../registry/registry.js';

/** Of whatever stands in the way of `probeMiddleware`. */
export const CURE = 'Call app.use(probeMiddleware(probes)) first.';

/** A wrong place shows within the first requests of the kubelet. Watching longer would cost every response of the process. */
const WATCHED_MS = 120_000;

/** What was told, whichever registry it was for: a process can have many, in tests for example. */
const told = new Set<string>();

/** A middleware that never calls `next()` keeps probes from this one, and may answer them with 200. Watches each path until it is answered, for two minutes at most. */
export function watchForOtherAnswers(matchUrl: UrlMatcher, paths: readonly string[], probes: ProbeRegistry): void {
  const endsAt = performance.now() + WATCHED_MS;
  const unseen = new Set(paths);
  const onResponse = (message: unknown) => {
    const { request, response } = message as { request: IncomingMessage; response: ServerResponse };
    if (performance.now() > endsAt) return stop();
    const url = request.url ?? '';
    const path = matchUrl(url)?.path;
    if (path === undefined || !unseen.has(path) || (request.method !== 'GET' && request.method !== 'HEAD')) return;
    unseen.delete(path);
    if (unseen.size === 0) stop();
    if (isAnsweredByProbes(response)) return;
    const port = request.socket.localPort;
    const place = `${path} ${String(port)}`;
    if (told.has(place)) return;
    told.add(place);
    probes.logger.warn(
      `${request.method} ${url.slice(0, 100)} ${port === undefined ? '' : `on port ${String(port)} `}was answered with ${String(response.statusCode)} by something other than probeMiddleware: ` +
        `the answer says nothing about the probes. ${CURE}`,
    );
  };
  const stop = () => {
    unsubscribe(RESPONSES, onResponse);
    probes.off('close', stop);
  };
  subscribe(RESPONSES, onResponse);
  probes.once('close', stop);
}

/** The name of a middleware that stands before `self`; undefined if there is none. */
export function findMiddlewareBefore({ app }: Context, self: Middleware): string | undefined {
  const place = app.middleware.indexOf(self);
  if (place > 0) return nameOf(app.middleware[0]);
  // An agent may have wrapped it, or it is composed with others.
  return place === -1 && isCalledByNext() ? nameOf(app.middleware[0]) : undefined;
}

function nameOf(middleware: Middleware | undefined): string {
  return middleware === undefined || middleware.name === '' ? 'an unnamed one' : middleware.name;
}

/** Whether another middleware has called `next()`: then koa-compose's `dispatch` was not called by koa-compose itself. */
function isCalledByNext(): boolean {
  const callers = readStack();
  return callers.some((line, at) => {
    const isDispatch = /\bdispatch\b.*koa-compose/.test(line);
    return isDispatch && !(callers[at + 1] ?? '').includes('koa-compose');
  });
}

function readStack(): string[] {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 100;
  const lines = (new Error('stack').stack ?? '').split('\n').slice(1);
  Error.stackTraceLimit = stackTraceLimit;
  return lines;
}
