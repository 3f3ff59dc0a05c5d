// What every script of the repository begins with. It runs before anything is installed, so it uses nothing but Node.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** The programs (and a library) that the tests start, and the Debian package of each. */
const services = {
  chromium: 'chromium',
  garbd: 'galera-arbitrator-4',
  haproxy: 'haproxy',
  'libgalera_smm.so': 'galera-4',
  mariadbd: 'mariadb-server',
  memcached: 'memcached',
  openssl: 'openssl',
  pgbouncer: 'pgbouncer',
  postgres: 'postgresql',
  prometheus: 'prometheus',
  promtool: 'prometheus',
  'redis-server': 'redis-server',
  saslpasswd2: 'sasl2-bin',
  script: 'bsdutils',
  unshare: 'util-linux',
};

/** Runs a command with its output shown, and ends this process where it fails. */
export function run(command, ...args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', env: environment() });
  if (error) console.error(`${command}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

/** Runs a command with its output kept back, and shows the output when the command ends. Resolves to whether the command succeeded. */
export function runAside(command, ...args) {
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], env: environment() });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  return new Promise((resolve) => {
    child.once('error', ({ message }) => (output += `${command}: ${message}\n`));
    child.once('close', (code) => {
      process.stdout.write(output);
      resolve(code === 0);
    });
  });
}

/** With the project's own programs on the PATH. */
export function environment() {
  return { ...process.env, PATH: [join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter) };
}

/** Whether the packages of a folder are there, and not older than its lock file. */
export function hasPackages(folder = root) {
  const installed = join(folder, 'node_modules', '.package-lock.json');
  return existsSync(installed) && statSync(installed).mtimeMs >= statSync(join(folder, 'package-lock.json')).mtimeMs;
}

export function installPackages(folder = root) {
  // Not `npm ci`: the lock file has the native parts of the tools only for the platforms that its registry had.
  if (!hasPackages(folder)) run('npm', 'install', '--no-save', '--prefix', folder, '--no-audit', '--no-fund');
}

/** Installs the servers that the tests need, on Debian as root; elsewhere says what is missing. */
export function installServices() {
  const missing = Object.keys(services).filter((program) => !findProgram(program));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((program) => services[program]))];
  if (process.getuid?.() !== 0 || !findProgram('apt-get')) {
    console.error(`Install ${missing.join(' and ')} first, for example with: sudo apt-get install ${packages.join(' ')}`);
    process.exit(1);
  }
  process.env.DEBIAN_FRONTEND = 'noninteractive';
  run('apt-get', 'update', '-qq');
  run('apt-get', 'install', '-y', '-qq', '--no-install-recommends', ...packages);
}

/** Compiles, and then makes one file of what an exec probe loads to ask a server: each file costs a hundredth of a start of Node, and the kubelet starts it every few seconds. */
export function build() {
  run('tsc', '--build');
  const loadedLater = ['help', 'heartbeat', 'heartbeats', 'summary', 'threads'].map((name) => `./${name}.cjs`);
  const external = [
    './list-app.js',
    './lint-app.js',
    './manifest-app.js',
    './openapi.js',
    './probe-app.js',
    '../../package.json',
    ...loadedLater,
  ].map((file) => `--external:${file}`);
  const options = ['--bundle', '--platform=node', '--target=node20', '--sourcemap', '--sources-content=false', '--log-level=warning'];
  run('esbuild', 'src/cli/bin.cts', '--outfile=dist/cli/bin.cjs', ...options, ...external);
  writeProgram();
}

/** The program of the worker thread as a text within a module: an application that is bundled has no file for it. Functions keep their names, for its stack traces. */
function writeProgram() {
  const options = ['--bundle', '--platform=node', '--target=node20', '--format=cjs', '--minify-whitespace', '--minify-syntax'];
  const file = join(root, 'dist', 'thread', 'program.js');
  const made = `${file}.${process.pid}`;
  run('esbuild', 'src/worker/main.ts', `--outfile=${made}`, ...options, '--log-level=warning');
  writeFileSync(made, `export const PROGRAM = ${JSON.stringify(readFileSync(made, 'utf8'))};\n`);
  // All at once: the demo builds too, and others may read the file meanwhile.
  renameSync(made, file);
}

/** From nothing: the output of a file that is gone would otherwise still be tested and packed. */
export function buildAfresh() {
  for (const folder of ['dist', 'build', 'coverage']) rmSync(join(root, folder), { recursive: true, force: true });
  build();
}

/** Debian keeps PostgreSQL's server, and the library of Galera, outside the PATH. */
function findProgram(name) {
  const versions = '/usr/lib/postgresql';
  const folders = existsSync(versions) ? readdirSync(versions).map((version) => join(versions, version, 'bin')) : [];
  return [...(process.env.PATH ?? '').split(delimiter), ...folders, '/usr/sbin', '/sbin', '/usr/lib/galera'].some((folder) =>
    existsSync(join(folder, name)),
  );
}
