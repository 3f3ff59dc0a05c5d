/** The processor's time of one exec probe, from its start to its end, against a start of Node that does nothing. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ProbeRegistry, probeHeartbeat, probeServer } from '../dist/index.js';
import { interleave, median, report } from './support.js';

const ROUNDS = 9;

/** The kernel tells the time of the children in hundredths of a second: a round has as many runs as make that small. */
const NODE_RUNS = 10;
const LIGHT_RUNS = 100;

/** Ticks a second of `/proc/self/stat`: the same on every Linux that Node runs on. */
const TICKS = 100;

const command = fileURLToPath(new URL('../dist/cli/bin.cjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'bench-exec-'));
const socket = join(folder, 'probes.sock');
const probes = new ProbeRegistry({ logger: false });
await probeServer(probes, { socket });
const server = await probeServer(probes, { port: 0, host: '127.0.0.1' });
const url = `http://127.0.0.1:${server.address().port}`;
probeHeartbeat(probes, { directory: folder, intervalMs: 60_000 });
await new Promise((resolve) => setTimeout(resolve, 200));

const probe = (...way) => [process.execPath, command, 'probe', '--live', ...way];
const cases = {
  'koa-probes probe --socket': { run: probe('--socket', socket), atMost: 1.3 },
  'koa-probes probe --url': { run: probe('--url', url), atMost: 1.3 },
  'koa-probes probe --heartbeat': { run: probe('--heartbeat', folder), atMost: 1.15 },
  'sh and the heartbeat': { run: ['sh', '-c', `read u _ </proc/uptime; read d <${folder}/live && [ \${u%.*} -le $d ]`], atMost: 0.05 },
  '/bin/true': { run: ['/bin/true'] },
  "node -e 'fetch(…)'": { run: [process.execPath, '-e', `fetch('${url}/livez').then(({ ok }) => process.exit(ok ? 0 : 1))`] },
  curl: { run: ['curl', '-sfo', '/dev/null', `${url}/livez`] },
  wget: { run: ['wget', '-qO', '/dev/null', `${url}/livez`] },
};
for (const name of ['curl', 'wget']) {
  if (spawnSync(name, ['--version']).status === 0) continue;
  console.error(`exec: ${name} is not installed, and left out.`);
  delete cases[name];
}

const runs = { floor: () => measureCpu([process.execPath, '-e', '0']) };
for (const [name, { run }] of Object.entries(cases)) runs[name] = () => measureCpu(run);
const rounds = await interleave(ROUNDS, runs, { warmUpRounds: 1 });
probes.close();
rmSync(folder, { recursive: true });

const figure = { bench: 'exec', rounds: ROUNDS };
report({ ...figure, case: 'node -e 0, whole', unit: 'ms/run', value: median(rounds.map(({ floor }) => floor)) });
for (const [name, { atMost }] of Object.entries(cases)) {
  const value = median(rounds.map((values) => values[name] / values.floor));
  report({ ...figure, case: name, unit: 'of node -e 0', value, ...(atMost !== undefined && { atMost }) });
}

/** Milliseconds of the user and the system for one run. */
async function measureCpu([program, ...args]) {
  const count = program === process.execPath ? NODE_RUNS : LIGHT_RUNS;
  const before = readChildrenTicks();
  for (let run = 0; run < count; run += 1) {
    const [code] = await once(spawn(program, args, { stdio: 'ignore' }), 'exit');
    if (code !== 0) throw new Error(`Expected ${program} ${args.join(' ')} to pass, but it ended with ${code}.`);
  }
  return ((readChildrenTicks() - before) / TICKS / count) * 1_000;
}

/** Of all children that have ended: fields 16 and 17, counted behind the name of the program, which may have blanks. */
function readChildrenTicks() {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[13]) + Number(fields[14]);
}
