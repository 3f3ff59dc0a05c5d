// The table of docs/faults.md, from what the tests have measured. `--check` compares its faults and answers, not its times, and writes nothing.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from './setup.js';

const page = join(root, 'docs/faults.md');
const folder = join(root, 'build/faults');
const LONGEST_ANSWER = 240;
const COMPARED = 160;

/** What a client says that has lost its server, as far as it is with it. */
const CONNECTING =
  /the client (?:has no connection and tries again|is connecting|is connected, and not ready yet|could not ask)(?:: (?:connect ECONNREFUSED host:port|Socket closed unexpectedly))?/;

/** A reset is seen when it is read, when it is written to, or as an end: by chance. */
const RESET =
  /(?:read|write) (?:ECONNRESET|EPIPE)|the server hung up before it had answered|Connection terminated unexpectedly|Connection lost: The server closed the connection\.?/;

const measured = readdirSync(folder)
  .toSorted()
  .map((file) => JSON.parse(readFileSync(join(folder, file), 'utf8')));
const rows = measured.map((row) =>
  cells(
    `\`${row.probe}\``,
    row.fault,
    row.answer === undefined ? 'nothing: it passes' : `\`\` ${shorten(withoutPlaces(row.answer))} \`\``,
    `${row.answeredMs} ms`,
    recoveryOf(row),
  ),
);
const listed = readFileSync(page, 'utf8');
const [head] = listed.split('\n| probe');
const written = `${head}\n${cells('probe', 'fault', 'what the operator reads', 'answered in', 'passes again after')}\n| --- | --- | --- | --- | --- |\n${rows.join('\n')}\n`;

if (process.argv.includes('--check')) {
  const [stale, staged] = [answersOf(listed), answersOf(written)];
  const complaints = [
    ...staged.filter((row) => !stale.includes(row)).map((row) => `missing: ${row}`),
    ...stale.filter((row) => !staged.includes(row)).map((row) => `gone: ${row}`),
  ];
  if (complaints.length > 0) {
    console.error(`docs/faults.md is out of date. Run: npm run docs\n${complaints.join('\n')}`);
    process.exit(1);
  }
} else {
  writeFileSync(page, written);
  run('prettier', '--write', '--log-level', 'warn', page);
}

function cells(...texts) {
  return `| ${texts.map((text) => text.replaceAll('|', '\\|')).join(' | ')} |`;
}

function recoveryOf({ answer, recoveredMs, waitsFor }) {
  if (answer === undefined) return 'at once';
  if (recoveredMs === undefined) return 'when it is configured';
  return waitsFor === undefined ? `the first run, ${recoveredMs} ms` : `${recoveredMs} ms: waits for ${waitsFor}`;
}

/** Ports, addresses and folders are other ones at each run. */
function withoutPlaces(text) {
  return text
    .replace(/\d+\.\d+\.\d+\.\d+:\d+|localhost:\d+|\[::1\]:\d+|[\w-]+\.test:\d+|(?<=127\.0\.0\.1 port |port )\d+/g, 'host:port')
    .replace(/(?<![\w:/])(?:\/\.?[\w-]+(?:\.[\w-]+)*){2,}/g, '/path');
}

function shorten(text) {
  return text.length > LONGEST_ANSWER ? `${text.slice(0, LONGEST_ANSWER)}…` : text;
}

/** Probe, fault and answer of each row, without what is another at each run: what was measured, and how far a client is that connects again. */
function answersOf(text) {
  return [...text.matchAll(/^\| (`[^`]+`) *\| ([^|]+?) *\| (.+?) *\|[^|]*\|[^|]*\|$/gm)].map(([, probe, fault, answer]) => {
    const stable = answer
      .replaceAll('`', '')
      .trim()
      .replace(/\d+(?:\.\d+)?(?= (?:ms|MiB|%))/g, 'N')
      .replace(CONNECTING, 'the client is connecting')
      .replace(RESET, 'the connection was reset')
      .slice(0, COMPARED);
    return `${probe} ${fault}: ${stable}`;
  });
}
