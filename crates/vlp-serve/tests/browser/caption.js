// @ts-check
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onPage, pick, requestsOf, screenshot, server, settled } from './browser.js';

/** @import { Page } from 'playwright-core' */

/** @param {Page} page */
const captions = (page) => page.locator('#caption .result .words').evaluateAll((all) => all.map((text) => text.textContent ?? ''));

/** @param {{captions: {text: string}[]}} answer */
const texts = (answer) => answer.captions.map(({ text }) => text).filter((text) => text !== '');

/** Changes a setting and waits for the captions. @param {Page} page @param {string} name @param {string} value */
async function set(page, name, value) {
  const answered = page.waitForResponse('**/v1/caption');
  await page.locator(`[name=${name}]`).fill(value);
  await answered;
  await settled(page);
}

test('a caption with the other beams', () => onPage('run=e2e', async (page) => {
  await pick(page, 2);
  await set(page, 'num_beams', '3');
  const search = { num_beams: 3, length_penalty: 0, no_repeat_ngram_size: 0 };
  assert.deepEqual(await captions(page), texts(await server.ask('caption', 'e2e', 2, { search })));
  await set(page, 'length_penalty', '1');
  assert.deepEqual(await captions(page), texts(await server.ask('caption', 'e2e', 2, { search: { ...search, length_penalty: 1 } })));
  await screenshot(page, 'caption-search');
}));

test('sampling with its parameters, and the next seed', () => onPage('run=e2e', async (page) => {
  await pick(page, 2);
  const answered = page.waitForResponse('**/v1/caption');
  await page.getByRole('radio', { name: 'Sampling' }).check();
  await answered;
  await set(page, 'count', '4');
  await set(page, 'temperature', '2');
  await set(page, 'top_k', '8');
  const sampling = { count: 4, temperature: 2, top_p: 0.9, top_k: 8, seed: 0 };
  const first = await captions(page);
  assert.deepEqual(first, texts(await server.ask('caption', 'e2e', 2, { sampling })));
  await page.getByRole('button', { name: 'Next seed' }).click();
  await settled(page);
  const second = await captions(page);
  assert.deepEqual(second, texts(await server.ask('caption', 'e2e', 2, { sampling: { ...sampling, seed: 1 } })));
  assert.notDeepEqual(first, second);
  await screenshot(page, 'caption-sampling');
}));

test('a setting out of its range is named and not sent', () => onPage('run=e2e', async (page) => {
  await pick(page, 2);
  const before = await captions(page);
  const paths = await requestsOf(page, async () => {
    await page.locator('[name=num_beams]').fill('99');
    await page.locator('#caption-message:not(:empty)').waitFor();
  });
  assert.deepEqual(paths, []);
  assert.match(await page.locator('#caption-message').innerText(), /^Beams: .*16/);
  assert.deepEqual(await captions(page), before);
}));
