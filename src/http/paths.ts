import { ConfigurationError } from '../errors.js';
import { PROBE_KINDS, type ProbeKind } from '../probe.js';
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

/** Every request of the application comes through here: it parses and allocates nothing before a path's own letters are there. */
export function matchUrl(routes: readonly Route[], url: string): ProbeTarget | undefined {
  for (const route of routes) {
    if (url.startsWith(route.path)) {
      const target = readTarget(route, url);
      if (target !== undefined) return target;
    }
  }
  return undefined;
}

function readTarget({ kind, path }: Route, url: string): ProbeTarget | undefined {
  const rest = url.slice(path.length);
  if (rest !== '' && rest[0] !== '/' && rest[0] !== '?') return undefined;
  const queryAt = rest.indexOf('?');
  const name = (queryAt === -1 ? rest : rest.slice(0, queryAt)).replace(/^\/|\/$/g, '');
  return {
    kind,
    title: (name === '' ? path : `${path}/${name}`).slice(1),
    name: name === '' ? undefined : name,
    query: queryAt === -1 ? '' : rest.slice(queryAt + 1),
  };
}

function checkPath(kind: ProbeKind, path: unknown): void {
  const subject = `the path ${show(path)} in \`paths.${kind}\``;
  if (typeof path !== 'string' || !path.startsWith('/')) throw new ConfigurationError(`Expected ${subject} to begin with "/".`);
  if (/[?#\s]/.test(path))
    throw new ConfigurationError(
      `Expected ${subject} to have no query, no fragment and no space. A query in a request is tolerated as it is.`,
    );
  if (path.endsWith('/'))
    throw new ConfigurationError(
      `Expected ${subject} to have no "/" at its end and a name before it. A slash at the end of a request is tolerated as it is.`,
    );
}
