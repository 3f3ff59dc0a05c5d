// npm run timeline: draws docs/shutdown.svg from a run of examples/shutdown, and puts what that run logged into docs/shutdown.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, installPackages, root } from './setup.js';

installPackages();
build();
const { recordShutdown } = await import('./timeline-run.js'); // needs what was installed
const { drawTimeline } = await import('./timeline-picture.js');

const recorded = await recordShutdown({ drainDelayMs: 5_000 });
writeFileSync(join(root, 'docs/shutdown.svg'), drawTimeline(recorded));

const page = join(root, 'docs/shutdown.md');
const log = `<!-- begin: log -->\n\n\`\`\`text\n${recorded.log.join('\n')}\n\`\`\`\n\n<!-- end: log -->`;
writeFileSync(
  page,
  readFileSync(page, 'utf8').replace(/<!-- begin: log -->[^]*<!-- end: log -->/, () => log),
);
