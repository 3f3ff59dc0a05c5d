// The page docs/faults.md, from what the tests have measured. `--check` compares its faults and answers, not its times, and writes nothing.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderFaults, stable } from './faults-page.js';
import { root, run } from './setup.js';

const page = join(root, 'docs/faults.md');
const folder = join(root, 'build/faults');
const INDEX = '## Index: the words of the log';

const rows = readdirSync(folder).map((file) => JSON.parse(readFileSync(join(folder, file), 'utf8')));
const listed = readFileSync(page, 'utf8');
const [head] = listed.split(INDEX);
const written = `${head}${INDEX}\n\n${renderFaults(rows)}`;

if (process.argv.includes('--check')) {
  const [stale, staged] = [factsOf(listed), factsOf(written)];
  const complaints = [
    ...staged.filter((fact) => !stale.includes(fact)).map((fact) => `missing: ${fact}`),
    ...stale.filter((fact) => !staged.includes(fact)).map((fact) => `gone: ${fact}`),
  ];
  if (complaints.length > 0) {
    console.error(`docs/faults.md is out of date. Run: npm run docs\n${complaints.join('\n')}`);
    process.exit(1);
  }
} else {
  writeFileSync(page, written);
  run('prettier', '--write', '--log-level', 'warn', page);
}

/** Each line of the page that says something, with the fault that it belongs to, and without what is another at each run. */
function factsOf(text) {
  let fault = '';
  const facts = [];
  for (const line of text.slice(text.indexOf(INDEX)).split('\n')) {
    if (line.startsWith('#')) fault = line.replace(/^#+ /, '');
    else if (line.trim() !== '')
      facts.push(
        `${fault}: ${stable(
          line
            .replaceAll('`', '')
            .replace(/^[\s-]+/, '')
            .trim(),
        )}`,
      );
  }
  return facts;
}
