// @ts-check
// One browser and one server for all tests.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { after, before } from 'node:test';
import { chromium } from 'playwright-core';
import { startServer } from './server.js';

/** @import { Browser, BrowserContextOptions, Page } from 'playwright-core' */

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const screenshots = process.env.VLP_SCREENSHOTS;
const quiet = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

/** @type {Browser} */
let browser;
/** @type {Awaited<ReturnType<typeof startServer>>} */
export let server;

before(async () => {
  if (!existsSync(executablePath)) throw new Error(`${executablePath} does not exist: CHROMIUM names a Chromium`);
  server = await startServer();
  browser = await chromium.launch({ executablePath, args: quiet });
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/**
 * Opens the page in a browser of its own, and checks at the end that the browser reported nothing: no exception, no refused
 * file, no violation of the content security policy.
 *
 * @param {string} hash such as `run=e2e`
 * @param {(page: Page) => Promise<void>} test
 * @param {BrowserContextOptions & {expected?: RegExp, url?: string}} [options] `expected` are messages that the test provokes
 */
export async function onPage(hash, test, { expected, url = server.url, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, reducedMotion: 'reduce', ...options });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  /** @type {string[]} */
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(error.stack ?? error.message));
  page.on('console', (message) => {
    const isReadback = message.text().includes('willReadFrequently'); // of canvases, which the tests alone read
    if (['error', 'warning'].includes(message.type()) && !isReadback) complaints.push(message.text());
  });
  try {
    await page.goto(`${url}/#${hash}`);
    await test(page);
    assert.deepEqual(complaints.filter((text) => !expected?.test(text)), []);
  } finally {
    await context.close();
  }
}

/**
 * Picks an example and waits until everything that follows has been answered.
 *
 * @param {Page} page
 * @param {number} index
 */
export async function pick(page, index) {
  await page.locator('.thumb').nth(index).click();
  await page.locator(`.thumb[aria-pressed=true]`).waitFor();
  await settled(page);
  // The page has moved below the pointer, which points at nothing of it.
  assert.equal(await page.locator('canvas.heat:visible').count(), 0);
}

/**
 * Chooses a file that is twice as wide as high, with two examples in it.
 *
 * @param {Page} page
 */
export async function chooseWide(page) {
  const base64 = await page.evaluate(async () => {
    const canvas = new OffscreenCanvas(128, 64);
    for (const i of [0, 1]) {
      const response = await fetch(`/v1/examples/${i}`);
      canvas.getContext('2d')?.drawImage(await createImageBitmap(await response.blob()), i * 64, 0);
    }
    const bytes = new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer());
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
  });
  await page.locator('#file').setInputFiles({ name: 'wide.png', mimeType: 'image/png', buffer: Buffer.from(base64, 'base64') });
  await page.locator('#image-name', { hasText: 'wide.png' }).waitFor();
  await settled(page);
  return { base64 };
}

/** @param {Page} page */
export async function settled(page) {
  await page.waitForFunction(() => !document.querySelector('[aria-busy=true]'));
}

/**
 * The bodies of the requests that an action causes.
 *
 * @param {Page} page
 * @param {() => Promise<unknown>} action
 */
export async function requestsOf(page, action) {
  /** @type {string[]} */
  const paths = [];
  const note = (/** @type {import('playwright-core').Request} */ request) => { paths.push(new URL(request.url()).pathname); };
  page.on('request', note);
  await action();
  await settled(page);
  page.off('request', note);
  return paths;
}

/** @param {Page} page @param {string} name of a file in the folder that VLP_SCREENSHOTS names; none is taken without it */
export async function screenshot(page, name) {
  if (!screenshots) return;
  await mkdir(screenshots, { recursive: true });
  await page.screenshot({ path: `${screenshots}/${name}.png`, fullPage: true });
}
