// The pictures of the status page in the README: the quickstart is started, a probe of it is made to fail, and Chromium takes the pictures.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { build, environment, root } from './setup.js';

const PORT = 3111;
const base = `http://localhost:${PORT}`;
const SIZE = { width: 860, height: 500 };

build();
const server = spawn(process.execPath, [join(root, 'build/examples/quickstart/server.js')], {
  env: { ...environment(), PORT: String(PORT) },
  stdio: ['ignore', 'pipe', 'ignore'],
});
await once(server.stdout, 'data');
try {
  await probe(45);
  // More jobs than its probe allows.
  for (let jobs = 0; jobs < 101; jobs += 1) await fetch(`${base}/job`, { method: 'POST' });
  await probe(12);
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-background-networking'] });
  for (const colorScheme of ['light', 'dark']) {
    const page = await browser.newPage({ viewport: SIZE, colorScheme, locale: 'en-GB' });
    await page.goto(`${base}/probes`);
    await page.locator('#at', { hasText: 'Live.' }).waitFor();
    await page.screenshot({ path: join(root, `docs/status-page-${colorScheme}.png`) });
  }
  await browser.close();
} finally {
  server.kill('SIGKILL');
}

/** As a kubelet asks, only faster. */
async function probe(times) {
  for (let turn = 0; turn < times; turn += 1) {
    for (const path of ['/livez', '/readyz', '/startupz']) await fetch(base + path);
    await pause(100);
  }
}
