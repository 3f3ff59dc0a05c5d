// Writes the logs of the simulated days into docs/observability-log.md. Run it after a build. A test compares the page with what it writes.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './setup.js';

const { renderLogPage } = await import('../build/test/support/log-page.js');

const page = join(root, 'docs/observability-log.md');
writeFileSync(page, await renderLogPage(readFileSync(page, 'utf8')));
