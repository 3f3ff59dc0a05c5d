/** npm run bench [-- <name> …] [-- --json] [-- soak --minutes <number>] */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { hasPackages, root } from './setup.js';

const BENCHMARKS = ['pass-through', 'guard', 'hang', 'readiness', 'telemetry', 'exec', 'blocked', 'shutdown', 'page', 'lint'];

/** Runs for ten minutes, and only where it is asked for. */
const SOAK = 'soak';

const bench = fileURLToPath(new URL('../bench/', import.meta.url));

const { names, flags } = readArguments();

if (!hasPackages()) prepare('npm', ['install', '--no-save'], root);
prepare('npm', ['run', '--silent', 'build'], root);
if (!hasPackages(bench)) prepare('npm', ['install', '--no-save'], bench);

for (const name of names.length > 0 ? names : BENCHMARKS) {
  run(process.execPath, ['--expose-gc', `${bench}${name}.js`, ...flags], root, 'inherit');
}

function readArguments() {
  const options = { json: { type: 'boolean', default: false }, minutes: { type: 'string', default: '10' } };
  try {
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    const minutes = Number(values.minutes);
    const unknown = positionals.filter((name) => name !== SOAK && !BENCHMARKS.includes(name));
    if (unknown.length > 0) throw new Error(`Unknown: ${unknown.join(', ')}.`);
    if (!(minutes > 0)) throw new Error('--minutes is to be a number above 0.');
    return { names: positionals, flags: [`--minutes=${minutes}`, ...(values.json === true ? ['--json'] : [])] };
  } catch (error) {
    console.error(
      `${error.message} There are ${[...BENCHMARKS, SOAK].join(', ')} and the flags --json and, for ${SOAK}, --minutes <number>.`,
    );
    return process.exit(1);
  }
}

/** What npm and the compiler say goes to standard error: standard output has the figures alone. */
function prepare(command, args, cwd) {
  run(command, args, cwd, process.stderr);
}

function run(command, args, cwd, stdout) {
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  const { status, error } = spawnSync(command, args, { cwd, env, stdio: ['ignore', stdout, 'inherit'] });
  if (error !== undefined) throw error;
  if (status === 0) return;
  console.error(`bench: ${[command, ...args].join(' ')} failed.`);
  process.exit(status ?? 1);
}
