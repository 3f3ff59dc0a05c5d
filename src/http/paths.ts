import { ConfigurationError } from '../errors.js';
import { PROBE_KINDS, type ProbeKind } from '../probe.js';
import type { ServedPaths } from '../registry/serving.js';
import { rejectUnknownOptions, show } from '../validation.js';

/** The paths of each kind. They replace the default paths of that kind. Each path begins with `/`, has no query, and does not end with `/`. */
export type PathOptions = Partial<Record<ProbeKind, string | readonly string[]>>;

const DEFAULT_PATHS: Readonly<Record<ProbeKind, readonly string[]>> = Object.freeze({
  liveness: ['/livez', '/healthz'],
  readiness: ['/readyz'],
  startup: ['/startupz'],
});

export interface Route {
  readonly kind: ProbeKind;
  readonly path: string;
}

/** The probe that a URL requests. */
export interface ProbeTarget {
  readonly kind: ProbeKind;
  /** The configured path of the kind. */
  readonly path: string;
  /** The requested path, without the slashes at its ends. */
  readonly title: string;
  /** The name after the path, if a single probe is requested. */
  readonly name: string | undefined;
  /** The text after the question mark. */
  readonly query: string;
}

/** Returns the paths of all kinds, the longest first, so that `/health/live` takes precedence over a probe named `live` below `/health`. */
export function resolvePaths(paths: PathOptions = {}): readonly Route[] {
  rejectUnknownOptions('`paths`', paths, PROBE_KINDS);
  const routes: Route[] = [];
  for (const kind of PROBE_KINDS) {
    for (const path of [paths[kind] ?? DEFAULT_PATHS[kind]].flat()) {
      checkPath(kind, path);
      const twin = routes.find((route) => route.path === path);
      if (twin !== undefined)
        throw new ConfigurationError(
          `The path ${show(path)} in \`paths.${kind}\` is used twice: \`paths.${twin.kind}\` has it too. Use different paths for each kind.`,
        );
      routes.push({ kind, path });
    }
  }
  return routes.toSorted((a, b) => b.path.length - a.path.length);
}

/** Returns the paths of each kind in the given order. */
export function groupPaths(paths: PathOptions = {}): ServedPaths {
  const groups = PROBE_KINDS.map((kind) => [kind, [paths[kind] ?? DEFAULT_PATHS[kind]].flat()]);
  return Object.fromEntries(groups) as Record<ProbeKind, readonly string[]>;
}

/** Returns the target of a URL, or undefined if the URL is not that of a probe. */
export type UrlMatcher = (url: string) => ProbeTarget | undefined;

/**
 * Creates the matcher. Every request of the application goes through it, so it parses and allocates nothing unless the URL starts like a path.
 * First it compares two letters, the one after the slash and the last one that all paths have. This rules out most other URLs at a lower cost than comparing strings.
 */
export function createUrlMatcher(paths?: PathOptions): UrlMatcher {
  const routes = resolvePaths(paths).map((route) => ({ kind: route.kind, path: route.path, target: readTarget(route, route.path) }));
  const shortest = Math.min(...routes.map(({ path }) => path.length));
  const lettersAt = (index: number) => {
    const letters = new Uint8Array(256);
    for (const { path } of routes) letters[path.charCodeAt(index)] = 1;
    return letters;
  };
  const [firstLetters, lastLetters] = [lettersAt(1), lettersAt(shortest - 1)];

  return function matchUrl(requested) {
    const url = requested.charCodeAt(0) === SLASH ? requested : toOriginForm(requested);
    if (url.length < shortest || lastLetters[url.charCodeAt(shortest - 1)] !== 1 || firstLetters[url.charCodeAt(1)] !== 1) return undefined;
    for (const route of routes) {
      // The kubelet requests exactly this path.
      if (url === route.path) return route.target;
      const target = url.startsWith(route.path) ? readTarget(route, url) : undefined;
      if (target !== undefined) return target;
    }
    return undefined;
  };
}

const SLASH = '/'.charCodeAt(0);

/** A proxy may request the whole URL (RFC 9112, section 3.2.2). Then only its path counts. */
function toOriginForm(url: string): string {
  return url.replace(/^https?:\/\/[^/?#]*/i, '');
}

function readTarget({ kind, path }: Route, url: string): ProbeTarget | undefined {
  const rest = url.slice(path.length);
  if (rest !== '' && rest[0] !== '/' && rest[0] !== '?') return undefined;
  const queryAt = rest.indexOf('?');
  const name = decode((queryAt === -1 ? rest : rest.slice(0, queryAt)).replace(/^\/|\/$/g, ''));
  return {
    kind,
    path,
    title: (name === '' ? path : `${path}/${name}`).slice(1),
    name: name === '' ? undefined : name,
    query: queryAt === -1 ? '' : rest.slice(queryAt + 1),
  };
}

function checkPath(kind: ProbeKind, path: unknown): void {
  const subject = `the path ${show(path)} in \`paths.${kind}\``;
  if (typeof path !== 'string' || !path.startsWith('/')) throw new ConfigurationError(`Expected ${subject} to begin with "/".`);
  if (/[?#]/.test(path))
    throw new ConfigurationError(`Expected ${subject} to have no query and no fragment. Requests may have a query without it.`);
  const requested = new URL(`http://localhost${path}`).pathname;
  if (requested !== path) throw new ConfigurationError(`Expected ${subject} to be written as clients send it: ${show(requested)}.`);
  if (path.endsWith('/'))
    throw new ConfigurationError(`Expected ${subject} to have a name and not to end with "/". Requests may end with "/" without it.`);
}

/** Returns a name with an invalid encoding as it is. No probe has such a name. */
function decode(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
