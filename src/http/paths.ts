import { ConfigurationError } from '../errors.js';
import { PROBE_KINDS, type ProbeKind } from '../probe.js';
import type { ServedPaths } from '../registry/serving.js';
import { rejectUnknownOptions, show } from '../validation.js';

/** Paths of a kind: they replace the defaults of that kind. Each begins with `/` and has no query and no slash at its end. */
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

/** What a URL asks for. */
export interface ProbeTarget {
  readonly kind: ProbeKind;
  /** The path of the kind, as it was set. */
  readonly path: string;
  /** The path asked, without the slashes at its ends. */
  readonly title: string;
  /** The name behind the path, for one probe alone. */
  readonly name: string | undefined;
  /** What follows the question mark. */
  readonly query: string;
}

/** The paths of all kinds, longest first, so that `/health/live` wins over a probe named `live` behind `/health`. */
export function resolvePaths(paths: PathOptions = {}): readonly Route[] {
  rejectUnknownOptions('`paths`', paths, PROBE_KINDS);
  const routes: Route[] = [];
  for (const kind of PROBE_KINDS) {
    for (const path of [paths[kind] ?? DEFAULT_PATHS[kind]].flat()) {
      checkPath(kind, path);
      const twin = routes.find((route) => route.path === path);
      if (twin !== undefined)
        throw new ConfigurationError(
          `The path ${show(path)} in \`paths.${kind}\` is used twice: \`paths.${twin.kind}\` has it too. Give each kind paths of its own.`,
        );
      routes.push({ kind, path });
    }
  }
  return routes.toSorted((a, b) => b.path.length - a.path.length);
}

/** The paths of each kind, in the order in which they were given. */
export function groupPaths(paths: PathOptions = {}): ServedPaths {
  const groups = PROBE_KINDS.map((kind) => [kind, [paths[kind] ?? DEFAULT_PATHS[kind]].flat()]);
  return Object.fromEntries(groups) as Record<ProbeKind, readonly string[]>;
}

/** The target of a URL, where it is that of a probe. */
export type UrlMatcher = (url: string) => ProbeTarget | undefined;

/**
 * Every request of the application goes through the matcher: it parses and allocates nothing before a path's own letters are there.
 * Two letters tell most other URLs apart, the one behind the slash and the last that all paths have, for less than one comparison of strings.
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
      // What the kubelet asks for.
      if (url === route.path) return route.target;
      const target = url.startsWith(route.path) ? readTarget(route, url) : undefined;
      if (target !== undefined) return target;
    }
    return undefined;
  };
}

const SLASH = '/'.charCodeAt(0);

/** A proxy may ask for the whole URL (RFC 9112, section 3.2.2), and a router finds the path in it. */
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
    throw new ConfigurationError(`Expected ${subject} to have no query and no fragment. A query in a request is tolerated as it is.`);
  const requested = new URL(`http://localhost${path}`).pathname;
  if (requested !== path) throw new ConfigurationError(`Expected ${subject} to be as clients send it: ${show(requested)}.`);
  if (path.endsWith('/'))
    throw new ConfigurationError(
      `Expected ${subject} to have no "/" at its end and a name before it. A slash at the end of a request is tolerated as it is.`,
    );
}

/** What is not well encoded names no probe, as it stands. */
function decode(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
