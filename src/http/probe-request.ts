import { createUrlMatcher, type PathOptions, type UrlMatcher } from './paths.js';

/** Options of `isProbeRequest()`. */
export interface ProbeRequestOptions {
  /**
   * The paths of the probes, as passed to `probeMiddleware`.
   * @default { liveness: ['/livez', '/healthz'], readiness: '/readyz', startup: '/startupz' }
   */
  paths?: PathOptions | undefined;
}

/** The part of a request that is read. Requests of `node:http`, Koa and Express have it. */
export interface RequestLine {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
}

const matchDefaultUrl = createUrlMatcher();
const matchers = new WeakMap<PathOptions, UrlMatcher>();

/**
 * Returns whether a request is a probe request, by its method and path. Use it to keep probes out of access logs and traces.
 * Check the status of the response too, so that failing probes stay in the log.
 *
 * @example morgan('combined', { skip: (request, response) => isProbeRequest(request) && response.statusCode < 400 })
 * @throws ConfigurationError if a path is not valid
 */
export function isProbeRequest({ method, url }: RequestLine, { paths }: ProbeRequestOptions = {}): boolean {
  if (method !== 'GET' && method !== 'HEAD') return false;
  return matcherOf(paths)(url ?? '') !== undefined;
}

function matcherOf(paths: PathOptions | undefined): UrlMatcher {
  if (paths === undefined) return matchDefaultUrl;
  const known = matchers.get(paths);
  if (known !== undefined) return known;
  const matcher = createUrlMatcher(paths);
  matchers.set(paths, matcher);
  return matcher;
}
