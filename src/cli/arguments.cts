import type { Command, OpenApiCommand, ServerUrl, Target, Verbosity, Way } from './command.cjs';

type Environment = Readonly<Record<string, string | undefined>>;

/** The value of each flag, or `true` if the flag takes no value. */
type Flags = Partial<Readonly<Record<string, string | true>>>;

const TARGETS: Readonly<Record<string, Target>> = {
  '--live': { kind: 'liveness', path: '/livez', file: 'live' },
  '--ready': { kind: 'readiness', path: '/readyz', file: 'ready' },
  '--health': { kind: 'liveness', path: '/healthz', file: 'live' },
  '--startup': { kind: 'startup', path: '/startupz', file: 'startup' },
};

const SHORT: Readonly<Record<string, string>> = {
  L: '--live',
  R: '--ready',
  H: '--health',
  S: '--startup',
  q: '--quiet',
  v: '--verbose',
  h: '--help',
};

const WAYS = ['--socket', '--url', '--heartbeat', '--app'] as const;
const ALWAYS = ['--help', '--version', '--timeout'];
const PROBE_FLAGS = [...ALWAYS, ...Object.keys(TARGETS), ...WAYS, '--min', '--quiet', '--verbose'];
const LIST_FLAGS = [...ALWAYS, '--app', '--json'];
const KINDS = ['liveness', 'readiness', 'startup'] as const;
const PATH_FLAGS = KINDS.map((kind) => `--${kind}-paths`);
const OPENAPI_FLAGS = ['--help', '--version', ...PATH_FLAGS];
const FLAGS = { probe: PROBE_FLAGS, list: LIST_FLAGS, openapi: OPENAPI_FLAGS };
const COMMANDS = '`probe`, `list`, `openapi`, `manifest` and `lint`';
const WITH_VALUE = new Set<string>([...WAYS, ...PATH_FLAGS, '--min', '--timeout']);

/** In seconds. The timeout of a probe is below the kubelet's default of 1 s. */
const DEFAULT_TIMEOUT = { probe: 0.9, list: 30 };
const LONGEST_TIMEOUT = 3_600;

const MOST_PROCESSES = 1_000;

/** A wrong command line. The message is one line, with the cure. */
class UsageError extends Error {}

/** Parses the arguments without `node:util`, whose parser takes a tenth of the start time of Node. */
function readCommand([name, ...rest]: readonly string[], environment: Environment): Command {
  if (name === undefined) throw new UsageError(`no command given. The commands are ${COMMANDS}. Try \`koa-probes --help\`.`);
  if (name === '--help' || name === '-h') return { name: 'help' };
  if (name === '--version') return { name: 'version' };
  if (name === 'manifest' || name === 'lint')
    return rest.includes('--help') || rest.includes('-h') ? { name: 'help' } : { name, words: rest };
  if (name !== 'probe' && name !== 'list' && name !== 'openapi')
    throw new UsageError(`unknown command ${show(name)}. The commands are ${COMMANDS}.`);
  const flags = readFlags(rest, FLAGS[name]);
  if (flags['--help']) return { name: 'help' };
  if (flags['--version']) return { name: 'version' };
  if (name === 'openapi') return { name, paths: readPaths(flags) };
  const timeoutMs = (flags['--timeout'] === undefined ? DEFAULT_TIMEOUT[name] : readSeconds(flags['--timeout'])) * 1_000;
  if (name === 'probe')
    return { name, target: chooseTarget(flags), way: chooseWay(flags, environment), timeoutMs, verbosity: readVerbosity(flags) };
  const module = flags['--app'];
  if (typeof module !== 'string') throw new UsageError('`list` needs the module with the probes: `--app ./dist/probes.js`.');
  return { name, module, isJson: flags['--json'] === true, timeoutMs };
}

/** Reads `--name value`, `--name=value`, `-x`, and several short flags together: `-Rq`. If a flag is repeated, the last one counts. */
function readFlags(words: readonly string[], known: readonly string[]): Flags {
  const flags: Record<string, string | true> = {};
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? '';
    const valueAt = word.startsWith('--') ? word.indexOf('=') + 1 : 0;
    const name = valueAt === 0 ? word : word.slice(0, valueAt - 1);
    const given = valueAt === 0 ? undefined : word.slice(valueAt);
    for (const flag of expandShort(name)) {
      if (!known.includes(flag)) throw new UsageError(`unknown argument ${show(word)}. Known arguments: ${known.join(', ')}.`);
      if (!WITH_VALUE.has(flag)) {
        if (given !== undefined) throw new UsageError(`${flag} takes no value. Leave out ${show(`=${given}`)}.`);
        flags[flag] = true;
        continue;
      }
      const value = given ?? words[(index += 1)];
      if (value === undefined || value === '' || value.startsWith('--'))
        throw new UsageError(`${flag} needs a value: ${flag} ${EXAMPLES[flag] ?? ''}.`);
      flags[flag] = value;
    }
  }
  return flags;
}

const EXAMPLES: Readonly<Record<string, string>> = {
  '--liveness-paths': '/livez,/healthz',
  '--readiness-paths': '/readyz',
  '--startup-paths': '/startupz',
  '--socket': '/run/app/probes.sock',
  '--url': 'http://127.0.0.1:3000',
  '--heartbeat': '/run/app',
  '--app': './dist/probes.js',
  '--min': '2',
  '--timeout': '0.9',
};

/** Reads the paths of each kind. Several paths are separated by commas. */
function readPaths(flags: Flags): OpenApiCommand['paths'] {
  const given = KINDS.filter((kind) => flags[`--${kind}-paths`] !== undefined);
  return Object.fromEntries(given.map((kind) => [kind, String(flags[`--${kind}-paths`]).split(',')]));
}

function expandShort(word: string): string[] {
  return word.startsWith('-') && !word.startsWith('--') ? Array.from(word.slice(1), (letter) => SHORT[letter] ?? `-${letter}`) : [word];
}

function chooseTarget(flags: Flags): Target {
  const [flag, ...more] = Object.keys(TARGETS).filter((name) => flags[name]);
  if (flag === undefined) throw new UsageError(`no kind given. Add one of ${Object.keys(TARGETS).join(', ')}.`);
  if (more.length > 0) throw new UsageError(`${[flag, ...more].join(' and ')} are two kinds. Use one command for each kind.`);
  return TARGETS[flag] as Target;
}

/** A flag takes precedence over the environment. In the environment, the socket takes precedence over the URL, and the URL over the port. */
function chooseWay(flags: Flags, { PROBE_SOCKET, PROBE_URL, PORT }: Environment): Way {
  const [flag, ...more] = WAYS.filter((name) => flags[name] !== undefined);
  if (more.length > 0) throw new UsageError(`${[flag, ...more].join(' and ')} cannot be combined. Use one of them.`);
  const value = flag === undefined ? '' : String(flags[flag]);
  if (flag === '--heartbeat') return readHeartbeatWay(value, flags['--min']);
  if (flags['--min'] !== undefined) throw new UsageError("--min needs a pattern: --heartbeat '/run/app/*' --min 2.");
  if (flag === '--socket') return { by: 'socket', path: value };
  if (flag === '--url') return { by: 'url', url: readUrl(flag, value) };
  if (flag === '--app') return { by: 'app', module: value };
  if (PROBE_SOCKET) return { by: 'socket', path: PROBE_SOCKET };
  if (PROBE_URL) return { by: 'url', url: readUrl('PROBE_URL', PROBE_URL) };
  if (!PORT)
    throw new UsageError(
      'the address of the probes is not set. Use --socket, --url, --heartbeat or --app, or set PROBE_SOCKET, PROBE_URL or PORT.',
    );
  if (!/^\d{1,5}$/.test(PORT) || Number(PORT) < 1 || Number(PORT) > 65_535) {
    throw new UsageError(`PORT is ${show(PORT)}, expected a port from 1 to 65535. Correct PORT, or use --url or --socket.`);
  }
  return { by: 'url', url: readUrl('PORT', `http://127.0.0.1:${PORT}`) };
}

/** With `*`, the value matches the directories of several processes. A process that has not created its directory yet is not matched, so a number must say how many processes have to pass. */
function readHeartbeatWay(directory: string, min: string | true | undefined): Way {
  if (!directory.includes('*')) {
    if (min === undefined) return { by: 'heartbeat', directory, min };
    throw new UsageError(`--min needs a pattern, but --heartbeat is ${show(directory)}. Use a pattern, for example '/run/app/*'.`);
  }
  if (min === undefined) {
    throw new UsageError(`--heartbeat is the pattern ${show(directory)}. Add the number of processes that must pass: --min 2.`);
  }
  if (typeof min === 'string' && /^\d{1,4}$/.test(min) && Number(min) >= 1 && Number(min) <= MOST_PROCESSES) {
    return { by: 'heartbeat', directory, min: Number(min) };
  }
  throw new UsageError(`--min is ${show(String(min))}, expected a whole number from 1 to ${String(MOST_PROCESSES)}: --min 2.`);
}

/** Scheme, host, port and path. The address of a server has no other parts. */
const SERVER_URL = /^(https?):\/\/([\w.-]+|\[[\da-f:.]+\])(?::(\d{1,5}))?((?:\/[\w.~!$&'()*+,;=:@%-]+)*)\/?$/i;

/** Parses the URL without the class `URL`, which takes a fiftieth of the start time of Node. */
function readUrl(source: string, text: string): ServerUrl {
  const [, scheme = '', name = '', digits, prefix = ''] = SERVER_URL.exec(text) ?? [];
  const isSecure = scheme.toLowerCase() === 'https';
  const port = Number(digits ?? (isSecure ? 443 : 80));
  if (name === '' || port < 1 || port > 65_535) {
    throw new UsageError(
      `${source} is ${show(withoutPassword(text))}, expected an http or https URL without a user and a query: http://127.0.0.1:3000.`,
    );
  }
  const host = name.startsWith('[') ? name.slice(1, -1) : name;
  return { isSecure, host, port, authority: digits === undefined ? name : `${name}:${digits}`, prefix };
}

function readSeconds(text: string | true): number {
  const seconds = typeof text === 'string' && /^(\d+\.?\d*|\.\d+)$/.test(text) ? Number(text) : 0;
  if (seconds > 0 && seconds <= LONGEST_TIMEOUT) return seconds;
  throw new UsageError(
    `--timeout is ${show(String(text))}, expected a number of seconds above 0 and up to ${String(LONGEST_TIMEOUT)}: --timeout 0.9.`,
  );
}

function readVerbosity(flags: Flags): Verbosity {
  return flags['--quiet'] ? 'quiet' : flags['--verbose'] ? 'verbose' : 'normal';
}

/** Shows a text on one line. */
function show(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/[^/]*@/, '//');
}

export = { readCommand, UsageError };
