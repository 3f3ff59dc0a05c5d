/** npm run bench [-- <name> …] [-- --json] */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const BENCHMARKS = ['pass-through', 'guard', 'hang', 'readiness'];

const root = fileURLToPath(new URL('..', import.meta.url));
const bench = fileURLToPath(new URL('../bench/', import.meta.url));

const flags = process.argv.slice(2).filter((argument) => argument.startsWith('--'));
const names = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const unknown = [...names.filter((name) => !BENCHMARKS.includes(name)), ...flags.filter((flag) => flag !== '--json')];
if (unknown.length > 0) {
  console.error(`Unknown: ${unknown.join(', ')}. There are ${BENCHMARKS.join(', ')} and the flag --json.`);
  process.exit(1);
}

if (!existsSync(`${root}node_modules`)) prepare('npm', ['install', '--no-save'], root);
prepare('npx', ['tsc', '--build'], root);
if (!existsSync(`${bench}node_modules`)) prepare('npm', ['install', '--no-save'], bench);

for (const name of names.length > 0 ? names : BENCHMARKS) {
  run(process.execPath, ['--expose-gc', `${bench}${name}.js`, ...flags], root, 'inherit');
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
