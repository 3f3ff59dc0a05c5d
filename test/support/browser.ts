import { chromium, type Browser } from 'playwright-core';

let browser: Promise<Browser> | undefined;

/** Debian's Chromium, started once for all tests of a process. As root it has no sandbox, and it asks no host but those of the test. */
export function openBrowser(): Promise<Browser> {
  browser ??= chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  return browser;
}

export async function closeBrowser(): Promise<void> {
  await (await browser)?.close();
  browser = undefined;
}
