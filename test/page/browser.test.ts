import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect } from 'chai';
import { NotReady } from 'koa-probes';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { closeBrowser, openBrowser } from '../support/browser.js';
import { closeServers } from '../support/http.js';
import { until } from '../support/processes.js';
import { asAda, closeRegistries, mountPage, reasonNotReady, type Mounted } from '../support/status-page.js';

interface AxeViolation {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly html: string }[];
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

describe('statusPage in Chromium', function () {
  this.timeout(60_000);
  const pages: Page[] = [];
  afterEach(async () => {
    for (const page of pages.splice(0)) await page.context().close();
    closeRegistries();
    closeServers();
  });
  after(closeBrowser);

  /** Opens the page. What the browser complains about fails the test at its end. */
  async function open({ url }: Mounted, options: BrowserContextOptions = {}): Promise<Page & { complaints: string[] }> {
    const context = await (await openBrowser()).newContext(options);
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto(`${url}/probes`);
    pages.push(page);
    return Object.assign(page, { complaints });
  }

  const textOf = (page: Page, selector: string) => page.locator(selector).innerText();

  it('says within 2 s that a probe fails, and that it passes again, without a reload', async () => {
    let isDown = false;
    const mounted = await mountPage({
      cache: () => {},
      search: () => {
        if (isDown) throw new NotReady('no shards');
      },
    });
    await mounted.probes.run('readiness');
    await mounted.probes.run('liveness');
    const page = await open(mounted);
    await page.evaluate('globalThis.isSamePage = true');
    expect(await textOf(page, '#state')).to.match(/^Ready/);
    isDown = true;
    await mounted.probes.run('readiness');
    await page.locator('#probe-search .reason', { hasText: 'no shards' }).waitFor({ timeout: 2_000 });
    expect(await textOf(page, '#state')).to.match(/^Not ready/);
    expect(await page.title()).to.equal('(1) Not ready – Probes');
    expect(await page.locator('#list > li').first().getAttribute('id')).to.equal('probe-search');
    isDown = false;
    await mounted.probes.run('readiness');
    await page.locator('#state', { hasText: /^Ready/ }).waitFor({ timeout: 2_000 });
    expect(await page.evaluate('globalThis.isSamePage')).to.equal(true);
    expect(page.complaints).to.deep.equal([]);
  });

  it('shows times in the time zone of the reader, and the exact time to whoever points at it', async () => {
    const mounted = await mountPage({ search: () => {} });
    await mounted.probes.run('readiness');
    const page = await open(mounted, { timezoneId: 'Asia/Kathmandu', locale: 'en-GB' });
    const time = page.locator('#probe-search time').first();
    await until(async () => (await time.innerText()).includes('ago'));
    const expected = new Intl.DateTimeFormat('en-GB', { timeZone: 'Asia/Kathmandu', hour: '2-digit', minute: '2-digit' });
    const at = new Date((await time.getAttribute('datetime')) ?? '');
    expect(await time.innerText()).to.include(expected.format(at));
    expect(await time.getAttribute('title')).to.match(/\d{4}.*GMT\+5:45/);
  });

  it('shows a report without a script', async () => {
    const mounted = await mountPage({
      search: () => {
        throw new NotReady('no shards');
      },
    });
    await mounted.probes.run('readiness');
    const page = await open(mounted, { javaScriptEnabled: false });
    expect(await textOf(page, '#why')).to.equal('search is failing.');
    expect(await textOf(page, '#probe-search')).to.match(/failing\s+since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/);
    expect(await page.locator('label.filter').isVisible()).to.equal(false);
  });

  it('acts for whoever is authorized, by its buttons, with and without a script', async () => {
    for (const javaScriptEnabled of [true, false]) {
      const mounted = await mountPage({ search: () => {} }, asAda);
      const page = await open(mounted, { javaScriptEnabled });
      await page.getByLabel('Reason').fill('disk is full');
      await page.getByRole('button', { name: 'Switch readiness off' }).click();
      await until(async () => (await reasonNotReady(mounted.probes)) === 'disk is full');
      await page.getByRole('button', { name: 'Switch readiness on' }).click();
      await until(async () => (await reasonNotReady(mounted.probes)) === undefined);
      await page.getByRole('button', { name: 'Run now search' }).click();
      await page.locator('#probe-search .word', { hasText: javaScriptEnabled ? 'passing' : '' }).waitFor();
      await until(() => mounted.probes.list()[0]?.lastResult?.status === 'pass');
      await page.getByLabel('Maintenance').fill('new disk');
      await page.getByRole('button', { name: 'Start' }).click();
      await until(async () => (await reasonNotReady(mounted.probes)) === 'maintenance: new disk');
      await page.getByRole('button', { name: 'End maintenance' }).click();
      await until(async () => (await reasonNotReady(mounted.probes)) === undefined);
    }
  });

  it('lets no other site act, whatever the browser sends along', async () => {
    const mounted = await mountPage({}, asAda);
    const page = await open(mounted);
    const token = await page.locator('input[name=token]').first().getAttribute('value');
    const evil = await mountPage({});
    // Another port is another origin, and the same site: the browser sends the cookie along.
    await page.goto(evil.url);
    await page.setContent(
      `<form method="post" action="${mounted.url}/probes"><input name="token" value="${String(token)}"><input name="action" value="off"><input name="reason" value="x"><button>go</button></form>`,
    );
    await page.getByRole('button').click();
    await page.getByText('Refused: the request does not come from this page.').waitFor();
    expect(await reasonNotReady(mounted.probes)).to.equal(undefined);
  });

  it('keeps hostile text as text', async () => {
    const mounted = await mountPage(
      {
        search: () => {
          throw new NotReady(`<img src=x onerror="document.title='owned'"> \u202E\u2066 ${'y'.repeat(10_000)}`);
        },
      },
      { title: '</title><script>document.title="owned"</script>' },
    );
    const page = await open(mounted, { viewport: { width: 320, height: 640 } });
    await mounted.probes.run('readiness');
    await page.locator('#probe-search .reason').waitFor();
    expect(await page.locator('img').count()).to.equal(0);
    expect(await page.title()).not.to.equal('owned');
    expect(page.complaints).to.deep.equal([]);
  });

  it('says that the other side is gone, and shows the new one when it is there', async () => {
    const mounted = await mountPage({ search: () => {} });
    const page = await open(mounted);
    await until(async () => (await textOf(page, '#at')) === 'Live.');
    mounted.probes.close();
    await page.getByText('The application has shut down').waitFor();
    const gone = await mountPage({ search: () => {} });
    const other = await open(gone);
    await until(async () => (await textOf(other, '#at')) === 'Live.');
    closeServers();
    await other.getByText('Connection lost').waitFor();
  });

  it('fits on 320 pixels, and is used by the keyboard alone', async () => {
    const mounted = await mountPage({ search: () => {}, 'a-name-that-is-quite-long-for-a-small-screen': () => {} }, asAda);
    await mounted.probes.run('readiness');
    const page = await open(mounted, { viewport: { width: 320, height: 640 } });
    expect(await page.evaluate('document.documentElement.scrollWidth')).to.equal(320);
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.textContent')).to.equal('Skip to the probes');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.localName')).to.equal('summary');
    await page.keyboard.press('Enter');
    expect(await page.locator('details[open] table').isVisible()).to.equal(true);
    // The reader's place is kept while figures change.
    await mounted.probes.run('readiness');
    await page.locator('#runs-search svg').waitFor();
    expect(await page.locator('details[open]').count()).to.equal(1);
  });

  for (const colorScheme of ['light', 'dark'] as const) {
    it(`has no serious fault of accessibility in its ${colorScheme} theme`, async () => {
      const mounted = await mountPage(
        {
          fine: () => {},
          broken: () => {
            throw new NotReady('no quorum');
          },
        },
        asAda,
      );
      await mounted.probes.run('readiness');
      mounted.probes.lifecycle.hold('migration');
      const page = await open(mounted, { colorScheme, bypassCSP: true });
      await page.evaluate(axe);
      const violations = await page.evaluate<AxeViolation[]>(
        'axe.run({ rules: { "color-contrast": { enabled: true } } }).then(({ violations }) => violations.map(({ id, impact, nodes }) => ({ id, impact, nodes: nodes.map(({ html }) => ({ html })) })))',
      );
      expect(violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')).to.deep.equal([]);
    });
  }

  it('stays usable with 500 probes: it finds the one that fails, and filters', async () => {
    let isDown = false;
    const checks = Object.fromEntries(
      Array.from({ length: 500 }, (_, index) => [
        `shard-${String(index)}`,
        () => {
          if (isDown && index === 321) throw new NotReady('gone');
        },
      ]),
    );
    const mounted = await mountPage(checks);
    await mounted.probes.run('readiness');
    const page = await open(mounted);
    expect(await page.locator('#list > li').count()).to.equal(500);
    isDown = true;
    await mounted.probes.run('readiness');
    await page.locator('#list > li').first().locator('.reason', { hasText: 'gone' }).waitFor();
    await page.getByLabel('Filter').fill('shard-32');
    await until(async () => (await page.locator('#list > li:visible').count()) === 11);
    expect(page.complaints).to.deep.equal([]);
  });
});
