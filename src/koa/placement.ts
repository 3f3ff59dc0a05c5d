import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';
import type { Context, Middleware } from 'koa';
import { isAnsweredByProbes, RESPONSES } from '../http/answered.js';
import type { UrlMatcher } from '../http/paths.js';
import type { ProbeRegistry } from '../registry/registry.js';

/** The cure if something is in front of `probeMiddleware`. */
export const CURE = 'Call app.use(probeMiddleware(probes)) first.';

/** A wrong position shows within the first requests of the kubelet. Watching longer would slow down every response of the process. */
const WATCHED_MS = 120_000;

/** The positions that were already logged by any registry. A process can have many registries, for example in tests. */
const told = new Set<string>();

/**
 * Detects another middleware that answers probes. It never calls `next()`, so probes do not reach `probeMiddleware`, and it may answer them with 200.
 * Each path is watched until it is answered, for at most two minutes.
 */
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
      `${request.method} ${url.slice(0, 100)} ${port === undefined ? '' : `on port ${String(port)} `}was answered with ${String(response.statusCode)} by something other than probeMiddleware, ` +
        `so the response says nothing about the probes. ${CURE}`,
    );
  };
  const stop = () => {
    unsubscribe(RESPONSES, onResponse);
    probes.off('close', stop);
  };
  subscribe(RESPONSES, onResponse);
  probes.once('close', stop);
}

/** Returns the name of a middleware that runs before `self`, or undefined. */
export function findMiddlewareBefore({ app }: Context, self: Middleware): string | undefined {
  const place = app.middleware.indexOf(self);
  if (place > 0) return nameOf(app.middleware[0]);
  // It is not in the list if an agent has wrapped it or it is composed with others.
  return place === -1 && isCalledByNext() ? nameOf(app.middleware[0]) : undefined;
}

function nameOf(middleware: Middleware | undefined): string {
  return middleware === undefined || middleware.name === '' ? 'an unnamed middleware' : middleware.name;
}

/** Returns whether another middleware has called `next()`. In that case koa-compose's `dispatch` was not called by koa-compose itself. */
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
