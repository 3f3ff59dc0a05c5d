// The table of docs/faults.md, from what the tests have measured. `--check` compares its faults, not its times, and writes nothing.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './setup.js';

const page = join(root, 'docs/faults.md');
const folder = join(root, 'build/faults');

const measured = readdirSync(folder)
  .toSorted()
  .map((file) => JSON.parse(readFileSync(join(folder, file), 'utf8')));
const rows = measured.map(({ probe, fault, answer, answeredMs, recoveredMs }) =>
  cells(
    `\`${probe}\``,
    fault,
    `\`${withoutPlaces(answer)}\``,
    `${answeredMs} ms`,
    recoveredMs === undefined ? 'when it is configured' : `${recoveredMs} ms`,
  ),
);
const [head] = readFileSync(page, 'utf8').split('\n| probe');
const written = `${head}\n${cells('probe', 'fault', 'what the operator reads', 'answered in', 'passes again after')}\n| --- | --- | --- | --- | --- |\n${rows.join('\n')}\n`;

if (process.argv.includes('--check')) {
  const listed = faultsOf(readFileSync(page, 'utf8'));
  const staged = faultsOf(written);
  const missing = staged.filter((fault) => !listed.includes(fault));
  const gone = listed.filter((fault) => !staged.includes(fault));
  if (missing.length + gone.length > 0) {
    console.error(
      `docs/faults.md is out of date: missing ${missing.join('; ') || 'none'}, gone ${gone.join('; ') || 'none'}. Run: npm run docs`,
    );
    process.exit(1);
  }
} else {
  writeFileSync(page, written);
}

function cells(...texts) {
  return `| ${texts.map((text) => text.replaceAll('|', '\\|')).join(' | ')} |`;
}

/** Ports, addresses and folders are other ones at each run. */
function withoutPlaces(text) {
  return text
    .replace(/\d+\.\d+\.\d+\.\d+:\d+|localhost:\d+|\[::1\]:\d+|(?<=127\.0\.0\.1 port |port )\d+/g, 'host:port')
    .replace(/(?:\/[\w.-]+){2,}/g, '/path')
    .slice(0, 160);
}

function faultsOf(text) {
  return [...text.matchAll(/^\| (`[^`]+`)\s*\| ([^|]+?)\s*\|/gm)].map(([, probe, fault]) => `${probe} ${fault}`);
}
