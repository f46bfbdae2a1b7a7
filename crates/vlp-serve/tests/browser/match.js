// @ts-check
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onPage, pick, screenshot, server, settled } from './browser.js';

test('texts are ranked by their match scores', () => onPage('run=e2e', async (page) => {
  await pick(page, 5);
  const texts = ['a red circle', 'a blue star left of a green square', 'nothing'];
  await page.getByLabel('Texts, one in each line').fill(`${texts.join('\n')}\n\n${texts[0]}`);
  await page.getByRole('button', { name: 'Match' }).click();
  await page.locator('#match .bars').waitFor();
  await settled(page);
  const { matches } = await server.ask('match', 'e2e', 5, { texts });
  matches.sort((/** @type {any} */ a, /** @type {any} */ b) => b.probability - a.probability);
  assert.deepEqual(await page.locator('#match .bars .words').allTextContents(), matches.map((/** @type {any} */ { text }) => text));
  const [, best] = await page.locator('#match .bars li').first().locator('span.number').evaluateAll((all) => ['', ...all.map((n) => n.textContent)]);
  assert.equal(Math.abs(Number(best?.replace(/[<> ]/g, '')) - matches[0].probability) < 0.011, true);
  await screenshot(page, 'match');
}));

test('captions of people are suggested', () => onPage('run=e2e', async (page) => {
  await pick(page, 5);
  const { examples } = await server.get('examples?model=e2e');
  const [caption] = examples[5].captions;
  await page.locator('#suggestions').getByRole('button', { name: caption }).first().click();
  await page.locator('#match .bars').waitFor();
  assert.deepEqual(await page.locator('#match .bars .words').allTextContents(), [caption]);
}));

test('a text is never read as HTML', () => onPage('run=e2e', async (page) => {
  await pick(page, 5);
  const text = '<img src=x onerror=alert(1)><b>star</b>';
  await page.getByLabel('Texts, one in each line').fill(text);
  await page.keyboard.press('Control+Enter');
  await page.locator('#match .bars').waitFor();
  assert.equal(await page.locator('#match .bars .words').textContent(), text);
}));
