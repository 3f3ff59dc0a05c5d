import { createUrlMatcher, type PathOptions, type UrlMatcher } from './paths.js';

export interface ProbeRequestOptions {
  /**
   * The paths that the probes are answered on, as given to `probeMiddleware`.
   * @default the default paths
   */
  paths?: PathOptions | undefined;
}

/** What this reads of a request: that of `node:http`, of Koa and of Express have it. */
export interface RequestLine {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
}

const matchDefaultUrl = createUrlMatcher();
const matchers = new WeakMap<PathOptions, UrlMatcher>();

/**
 * Whether a request asks for a probe, by its method and path, to keep probes out of access logs and traces.
 * Keep the failing ones: look at the status of the response, too.
 *
 * @example morgan('combined', { skip: (request, response) => isProbeRequest(request) && response.statusCode < 400 })
 * @throws ConfigurationError if a path is not fit.
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
