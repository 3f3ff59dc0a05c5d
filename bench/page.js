/** The status page with 500 probes: the size of the document, and how long a browser takes to show it and a change. */
import { createServer } from 'node:http';
import { once } from 'node:events';
import { chromium } from 'playwright-core';
import { NotReady, ProbeRegistry, probeServer } from '../dist/index.js';
import { statusPage } from '../dist/page/status-page.js';
import { median, report } from './support.js';

const ROUNDS = 7;
const PROBES = 500;

let isDown = false;
const probes = new ProbeRegistry({ logger: false });
for (let index = 0; index < PROBES; index += 1) {
  const check = async () => {
    if (isDown && index === PROBES - 1) throw new NotReady('gone');
  };
  probes.register({ name: `check-${index}`, kinds: ['readiness'], check });
}
const server = await probeServer(probes, { port: 0, host: '127.0.0.1', page: statusPage(probes, { path: '/' }) });
const url = `http://127.0.0.1:${server.address().port}/`;
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-background-networking'] });
for (let runs = 0; runs < 40; runs += 1) await probes.run('readiness');

const [paints, updates] = [[], []];
for (let round = 0; round < ROUNDS; round += 1) {
  const page = await browser.newPage();
  await page.goto(url);
  await page.locator('#at', { hasText: 'Live.' }).waitFor();
  paints.push(await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"));
  isDown = true;
  const startedAt = performance.now();
  await probes.run('readiness');
  await page.locator('#list > li').first().locator('.reason', { hasText: 'gone' }).waitFor();
  updates.push(performance.now() - startedAt);
  isDown = false;
  await probes.run('readiness');
  await page.close();
}
const document = await (await fetch(url)).arrayBuffer();
const bare = new ProbeRegistry({ logger: false });
const small = createServer().listen(0, '127.0.0.1');
await once(small, 'listening');
small.on('request', (request, response) => statusPage(bare, { path: '/' }).handle(request, response));
const empty = await (await fetch(`http://127.0.0.1:${small.address().port}/`)).arrayBuffer();

const figure = { bench: 'page', rounds: ROUNDS };
report({ ...figure, case: 'no probe: the document', unit: 'KB', value: empty.byteLength / 1_000, atMost: 60 });
report({ ...figure, case: `${PROBES} probes: the document`, unit: 'KB', value: document.byteLength / 1_000 });
report({ ...figure, case: `${PROBES} probes: first paint`, unit: 'ms', value: median(paints) });
report({ ...figure, case: `${PROBES} probes: from a failed run to the page`, unit: 'ms', value: median(updates), atMost: 2_000 });
await browser.close();
small.close();
small.closeAllConnections();
probes.close();
