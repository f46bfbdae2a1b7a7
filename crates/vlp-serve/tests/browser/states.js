// @ts-check
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onPage, pick, screenshot, server, settled } from './browser.js';
import { startServer } from './server.js';

test('without an image the page says what the run can do', () => onPage('run=soho', async (page) => {
  await page.locator('.thumb').first().waitFor();
  assert.equal(await page.locator('#lead').innerText(), 'soho matches texts and shows the codes of its visual dictionary.');
  const { models } = await server.get('models');
  assert.equal(await page.locator('.thumb').count(), models.find((/** @type {any} */ { name }) => name === 'soho').examples);
  await screenshot(page, 'empty');
}));

test('while results are awaited their places are marked busy', () => onPage('run=e2e', async (page) => {
  await page.route('**/v1/detect', async (route) => {
    await new Promise((resolve) => { setTimeout(resolve, 600); });
    await route.continue();
  });
  await page.locator('.thumb').first().click();
  await page.locator('#detect .result[aria-busy=true] .skeleton').waitFor();
  await screenshot(page, 'loading');
  await settled(page);
  assert.equal(await page.locator('.skeleton').count(), 0);
}));

test('a full queue is waited out', () => onPage('run=e2e', async (page) => {
  let refusals = 0;
  await page.route('**/v1/detect', async (route) => {
    refusals += 1;
    if (refusals > 2) return route.continue();
    const error = { code: 'queue_full', message: 'The queue is full.', field: null };
    return route.fulfill({ status: 429, headers: { 'retry-after': '1' }, json: { error } });
  });
  await page.locator('.thumb').first().click();
  await page.locator('#detect').getByText('The server is busy. Trying again in 1 s.').first().waitFor();
  await screenshot(page, 'busy');
  await page.locator('#detect .rows, #detect .empty').first().waitFor();
  assert.equal(refusals, 3);
}, { expected: /status of 429/ }));

test('an error is shown where its result would be, and can be tried again', () => onPage('run=e2e', async (page) => {
  let broken = true;
  await page.route('**/v1/caption', (route) => {
    if (!broken) return route.continue();
    const error = { code: 'internal', message: 'Something broke in the server.', field: null };
    return route.fulfill({ status: 500, json: { error } });
  });
  await pick(page, 0);
  await page.locator('#caption').getByText('Something broke in the server.').waitFor();
  assert.ok(await page.locator('#detect .rows, #detect .empty').count() > 0, 'the other results are there');
  await screenshot(page, 'error');
  broken = false;
  await page.locator('#caption').getByRole('button', { name: 'Try again' }).click();
  await page.locator('#caption .spoken').waitFor();
}, { expected: /status of 500/ }));

test('a server that is gone is waited for', async () => {
  let other = await startServer();
  const { port, url } = other;
  try {
    await onPage('run=e2e', async (page) => {
      await pick(page, 0);
      await other.stop();
      await page.getByLabel('Texts, one in each line').fill('a red circle');
      await page.getByRole('button', { name: 'Match' }).click();
      await page.locator('#connection').waitFor();
      await page.locator('#match .notice').waitFor();
      await screenshot(page, 'gone');
      other = await startServer(port);
      await page.locator('#match .bars').waitFor();
      await page.locator('#connection').waitFor({ state: 'hidden' });
    }, { url, expected: /ERR_CONNECTION/ });
  } finally {
    await other.stop();
  }
});
