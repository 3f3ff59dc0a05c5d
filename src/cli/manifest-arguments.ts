import { parseArgs } from 'node:util';
import { ConfigurationError, describeError } from '../errors.js';
import type { ManifestOptions } from '../kubernetes/manifest.js';
import { WORKLOADS, type Workload } from '../kubernetes/workloads.js';
import { show } from '../validation.js';

/** The parsed arguments of `koa-probes manifest`. */
export interface ManifestRequest {
  readonly module: string;
  readonly timeoutMs: number;
  readonly options: ManifestOptions;
  readonly form: 'pod' | 'patch' | 'component';
  /** Set for a patch and a component. */
  readonly workload: Workload | undefined;
}

const text = { type: 'string' } as const;
const FLAGS = {
  app: text,
  command: text,
  container: text,
  exec: { type: 'boolean' },
  heartbeat: text,
  kustomize: text,
  patch: text,
  port: text,
  socket: text,
  'startup-seconds': text,
  timeout: text,
} as const;

const DEFAULTS = Object.freeze({ command: '/app/node_modules/.bin/koa-probes', container: 'app', startupSeconds: 60, timeoutSeconds: 30 });

const LONGEST_SECONDS = 3_600;

/** A DNS label. Kubernetes requires it for the names of containers and of most workloads. */
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** @throws ConfigurationError if the arguments of `koa-probes manifest` are wrong */
export function readManifestRequest(words: readonly string[]): ManifestRequest {
  const flags = parse(words);
  if (!flags.app) throw new ConfigurationError('`manifest` needs the module that sets up the probes: `--app ./dist/app.js`.');
  rejectTogether(flags, ['exec', 'socket', 'heartbeat']);
  rejectTogether(flags, ['patch', 'kustomize']);
  const reference = flags.patch ?? flags.kustomize;
  const workload = reference === undefined ? undefined : readWorkload(flags.patch === undefined ? '--kustomize' : '--patch', reference);
  if (workload !== undefined && flags.container === undefined) {
    throw new ConfigurationError(
      'A patch needs the name of the container, because it adds a container if none has that name. Set it, for example `--container app`.',
    );
  }
  const container = flags.container ?? DEFAULTS.container;
  if (!LABEL.test(container)) {
    throw new ConfigurationError(`--container is ${show(container)}, expected lower-case letters, digits and "-": --container app.`);
  }
  return {
    module: flags.app,
    timeoutMs: readWhole('--timeout', flags.timeout, LONGEST_SECONDS, DEFAULTS.timeoutSeconds) * 1_000,
    options: {
      isExec: flags.exec ?? false,
      socket: flags.socket === undefined ? undefined : readPath('--socket', '/run/app/probes.sock', flags.socket),
      heartbeat: flags.heartbeat === undefined ? undefined : readPath('--heartbeat', '/run/app', flags.heartbeat),
      port: flags.port === undefined ? undefined : readWhole('--port', flags.port, 65_535, 0),
      container,
      isPatch: workload !== undefined,
      command: (flags.command ?? DEFAULTS.command).split(' ').filter(Boolean),
      startupSeconds: readWhole('--startup-seconds', flags['startup-seconds'], LONGEST_SECONDS, DEFAULTS.startupSeconds),
    },
    form: flags.kustomize !== undefined ? 'component' : flags.patch !== undefined ? 'patch' : 'pod',
    workload,
  };
}

function parse(words: readonly string[]) {
  try {
    return parseArgs({ args: [...words], options: FLAGS, strict: true, allowPositionals: false }).values;
  } catch (error) {
    const [sentence] = describeError(error).split('. ');
    throw new ConfigurationError(
      `${sentence ?? ''}. Known options: ${Object.keys(FLAGS)
        .map((flag) => `--${flag}`)
        .join(', ')}.`,
    );
  }
}

function rejectTogether(flags: Readonly<Record<string, unknown>>, names: readonly string[]): void {
  const given = names.filter((name) => flags[name] !== undefined);
  if (given.length < 2) return;
  throw new ConfigurationError(`${given.map((name) => `--${name}`).join(' and ')} cannot be combined. Use one of them.`);
}

function readWorkload(flag: string, reference: string): Workload {
  const [kind = '', name = '', ...rest] = reference.split('/');
  if (isWorkload(kind) && LABEL.test(name) && rest.length === 0) return { kind, name };
  throw new ConfigurationError(
    `${flag} is ${show(reference)}, expected a kind (${Object.keys(WORKLOADS).join(', ')}) and a name: ${flag} deployment/shop.`,
  );
}

function isWorkload(kind: string): kind is Workload['kind'] {
  return Object.hasOwn(WORKLOADS, kind);
}

function readPath(flag: string, example: string, path: string): string {
  if (/^\/[^\s*]+$/.test(path)) return path;
  throw new ConfigurationError(`${flag} is ${show(path)}, expected an absolute path in the container: ${flag} ${example}.`);
}

function readWhole(flag: string, given: string | undefined, most: number, byDefault: number): number {
  if (given === undefined) return byDefault;
  if (/^\d+$/.test(given) && Number(given) >= 1 && Number(given) <= most) return Number(given);
  throw new ConfigurationError(`${flag} is ${show(given)}, expected a whole number from 1 to ${String(most)}.`);
}
