/** How long `koa-probes lint` takes for 1,000 documents, the start of Node included. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { median, report } from './support.js';

const ROUNDS = 7;
const DOCUMENTS = 1_000;

const root = fileURLToPath(new URL('../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'koa-probes-lint-'));
const file = join(folder, 'all.yaml');
const example = readFileSync(join(root, 'examples/kubernetes/deployment.yaml'), 'utf8');
writeFileSync(file, Array.from({ length: DOCUMENTS }, (_, index) => example.replaceAll('shop', `shop-${index}`)).join('---\n'));
const app = ['--app', join(root, 'build/examples/kubernetes/server.js')];

const times = [];
for (let round = 0; round < ROUNDS; round += 1) {
  const startedAt = performance.now();
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'dist/cli/bin.cjs'), 'lint', file, ...app], { encoding: 'utf8' });
  times.push((performance.now() - startedAt) / 1_000);
  if (status !== 0) throw new Error(stderr);
}
rmSync(folder, { recursive: true });
report({ bench: 'lint', case: `${DOCUMENTS} Deployments and an application`, unit: 's', value: median(times), atMost: 3, rounds: ROUNDS });
