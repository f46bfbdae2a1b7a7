// @ts-check
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onPage, pick, screenshot, server, settled } from './browser.js';

/** @import { Page } from 'playwright-core' */

/** @param {Page} page */
const names = (page) => page.locator('#search .hits b').allTextContents();

/** @param {Page} page @param {string} text */
async function searchFor(page, text) {
  await page.getByLabel('Text that describes the images').fill(text);
  await page.keyboard.press('Enter');
  await page.locator('#search .hits').waitFor();
  await settled(page);
}

test('images are found by a text, without an image on the page', () => onPage('run=e2e', async (page) => {
  await page.locator('.thumb').first().waitFor();
  await searchFor(page, 'a red circle');
  const { images, compared, reranked } = await server.search('a red circle', { top: 24 });
  assert.deepEqual(await names(page), images.map((/** @type {any} */ { name }) => name));
  const first = page.locator('#search .hits li').first();
  assert.equal(await first.locator('.hit-text').textContent(), images[0].texts[0]);
  assert.match(await first.locator('small').innerText(), /^match [<>]? ?[01]\.\d\d, similarity -?[01]\.\d\d$/);
  const drawn = await first.locator('img').evaluate((image) => /** @type {HTMLImageElement} */ (image).decode().then(() => /** @type {HTMLImageElement} */ (image).naturalWidth));
  assert.equal(drawn, 64);
  const note = await page.locator('#search .note').innerText();
  assert.equal(note, `Compared with ${compared} images; the ${reranked} most similar are ranked by match.`);
  await screenshot(page, 'search');
  await searchFor(page, 'a blue star');
  assert.notDeepEqual(await names(page), images.map((/** @type {any} */ { name }) => name));
}));

test('texts are found by the image, and again for the next one', () => onPage('run=e2e', async (page) => {
  for (const example of [3, 4]) {
    await pick(page, example);
    const { texts } = await server.ask('search', 'e2e', example, { top: 5 });
    assert.deepEqual(await page.locator('#search-texts .hit-text').allTextContents(), texts.map((/** @type {any} */ { text }) => text));
  }
  await screenshot(page, 'search-texts');
}));

test('a search stays when an image is chosen, and goes on in the run that is chosen', () => onPage('run=e2e', async (page) => {
  await page.locator('.thumb').first().waitFor();
  await searchFor(page, 'a red circle');
  const before = await names(page);
  await pick(page, 1);
  assert.deepEqual(await names(page), before);
  await page.locator('#compare').selectOption('soho');
  await settled(page);
  await page.locator('#search').getByText('This run searches in no index.').waitFor();
  assert.deepEqual(await names(page), before);
  await page.locator('#compare').selectOption('');
  await page.locator('#run').selectOption('soho');
  await page.locator('#search').waitFor({ state: 'hidden' });
  assert.equal(await page.locator('#search-texts').isVisible(), false);
}));

test('a suggestion is searched for at a click, an empty or long text is not', () => onPage('run=e2e', async (page) => {
  const chip = page.locator('#search-suggestions button').first();
  await chip.click();
  await page.locator('#search .hits').waitFor();
  const text = await chip.innerText();
  const { images } = await server.search(text, { top: 24 });
  assert.deepEqual(await names(page), images.map((/** @type {any} */ { name }) => name));
  for (const [wrong, message] of /** @type {[string, RegExp][]} */ ([[' ', /^Type a text first/], ['red '.repeat(2000), /longer than \d+ bytes/]])) {
    await page.getByLabel('Text that describes the images').fill(wrong);
    await page.getByRole('button', { name: 'Search' }).click();
    assert.match(await page.locator('#search-message').innerText(), message);
  }
}));

test('an error of a search can be tried again', () => onPage('run=e2e', async (page) => {
  let broken = true;
  await page.route('**/v1/search', (route) => {
    if (!broken) return route.continue();
    const error = { code: 'internal', message: 'Something broke in the server.', field: null };
    return route.fulfill({ status: 500, json: { error } });
  });
  await page.locator('.thumb').first().waitFor();
  await page.getByLabel('Text that describes the images').fill('<b>a star</b>');
  await page.keyboard.press('Enter');
  await page.locator('#search').getByText('Something broke in the server.').waitFor();
  broken = false;
  await page.locator('#search').getByRole('button', { name: 'Try again' }).click();
  await page.locator('#search .hits').waitFor();
}, { expected: /status of 500/ }));
