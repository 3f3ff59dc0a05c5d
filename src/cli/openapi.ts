import { readFileSync } from 'node:fs';
import { ConfigurationError } from '../errors.js';
import { resolvePaths, type Route } from '../http/paths.js';
import type { ProbeKind } from '../probe.js';
import type { OpenApiCommand, Outcome } from './command.cjs';

/** Describes the endpoints as an OpenAPI document, which an application can merge into its own. */
export function describeEndpoints({ paths }: OpenApiCommand): Outcome {
  try {
    return { code: 0, text: JSON.stringify(createDocument(resolvePaths(paths)), null, 2) };
  } catch (error) {
    if (ConfigurationError.is(error)) return { code: 2, text: `koa-probes: ${error.message}` };
    throw error;
  }
}

const SUMMARIES: Readonly<Record<ProbeKind, string>> = {
  liveness: 'Whether the process works. Kubernetes restarts the container if this fails.',
  readiness: 'Whether the application accepts requests.',
  startup: 'Whether the application has started.',
};

function createDocument(routes: readonly Route[]): object {
  const inOrder = routes.toSorted((a, b) => a.path.localeCompare(b.path));
  return {
    openapi: '3.1.0',
    info: { title: 'Health probes', version: readVersion() },
    paths: Object.fromEntries(
      inOrder.flatMap((route) => {
        const id = idOf(route, inOrder);
        return [
          [route.path, { get: describeKind(route, id) }],
          [`${route.path}/{name}`, { get: describeProbe(route, id) }],
        ];
      }),
    ),
    components: { schemas: { Health: readSchema() }, parameters: PARAMETERS },
  };
}

function describeKind({ kind }: Route, id: string): object {
  return {
    operationId: id,
    tags: ['probes'],
    summary: SUMMARIES[kind],
    parameters: [{ $ref: '#/components/parameters/verbose' }, { $ref: '#/components/parameters/exclude' }],
    responses: REPORTS,
  };
}

function describeProbe({ kind }: Route, id: string): object {
  return {
    operationId: `${id}ByName`,
    tags: ['probes'],
    summary: `The ${kind} probe with that name.`,
    parameters: [{ $ref: '#/components/parameters/name' }, { $ref: '#/components/parameters/verbose' }],
    responses: { ...REPORTS, 404: { description: 'The kind has no probe with that name.', content: TEXT_CONTENT } },
  };
}

/** Returns `getLiveness`, and `getLiveness2` for the second path of that kind. */
function idOf({ kind, path }: Route, routes: readonly Route[]): string {
  const place = routes.filter((route) => route.kind === kind).findIndex((route) => route.path === path) + 1;
  return `get${kind.charAt(0).toUpperCase()}${kind.slice(1)}${place === 1 ? '' : String(place)}`;
}

const TEXT_CONTENT = { 'text/plain': { schema: { type: 'string' } } };

const JSON_CONTENT = {
  'application/health+json': { schema: { $ref: '#/components/schemas/Health' } },
  'application/json': { schema: { $ref: '#/components/schemas/Health' } },
};

const CONTENT = { ...TEXT_CONTENT, ...JSON_CONTENT };

const REPORTS = {
  200: { description: 'Every check passes or is degraded.', content: CONTENT },
  503: {
    description: 'A check fails. A `NotReady` that is the only failure can set another status from 400 to 599.',
    headers: {
      'Retry-After': { description: 'Seconds, set by the option `retryAfterSeconds`.', schema: { type: 'integer', minimum: 1 } },
    },
    content: CONTENT,
  },
};

const PARAMETERS = {
  verbose: {
    name: 'verbose',
    in: 'query',
    allowEmptyValue: true,
    description: 'Show a line for each check, even if all checks pass.',
    schema: { type: 'string' },
  },
  exclude: {
    name: 'exclude',
    in: 'query',
    description: 'Names of probes to leave out.',
    schema: { type: 'array', items: { type: 'string' } },
  },
  name: { name: 'name', in: 'path', required: true, schema: { type: 'string', pattern: '^[\\w.-]{1,100}$' } },
};

/** In an OpenAPI document, a reference to `$defs` needs the full path. */
function readSchema(): object {
  const text = readFileSync(new URL('../../schemas/health.schema.json', import.meta.url), 'utf8');
  return JSON.parse(text.replaceAll('"#/$defs/', '"#/components/schemas/Health/$defs/')) as object;
}

function readVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { readonly version: string };
  return manifest.version;
}
