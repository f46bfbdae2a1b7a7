// @ts-check
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onPage, pick, screenshot, server } from './browser.js';

test('two runs side by side on one image', () => onPage('run=e2e', async (page) => {
  await pick(page, 0);
  await page.getByLabel('Compare with').selectOption('soho');
  await page.getByLabel('Texts, one in each line').fill('a red circle\na blue star');
  const asked = page.waitForRequest((request) => request.url().endsWith('/v1/match') && request.postDataJSON().model === 'soho');
  await page.getByRole('button', { name: 'Match' }).click();
  await page.locator('#match .bars').nth(1).waitFor();
  // An example's number means another image in another run's data.
  assert.deepEqual(Object.keys((await asked).postDataJSON().images[0]), ['base64']);
  assert.deepEqual(await page.locator('.stage figcaption b').allTextContents(), ['e2e', 'soho']);
  assert.match(await page.locator('#caption .column').nth(1).innerText(), /This run writes no captions/);

  // The second run is shown the same pixels, whatever its own examples are.
  const { results } = await page.evaluate(async () => {
    const blob = await (await fetch('/v1/examples/0?model=e2e')).blob();
    const bytes = new Uint8Array(await blob.arrayBuffer());
    const base64 = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
    const body = JSON.stringify({ model: 'soho', images: [{ base64 }], texts: ['a red circle', 'a blue star'] });
    return (await fetch('/v1/match', { method: 'POST', headers: { 'content-type': 'application/json' }, body })).json();
  });
  const columns = page.locator('#match .column');
  for (const [i, { matches }] of [await server.ask('match', 'e2e', 0, { texts: ['a red circle', 'a blue star'] }), results[0]].entries()) {
    const best = Math.max(...matches.map((/** @type {any} */ { probability }) => probability));
    const value = await columns.nth(i).locator('li').first().evaluate((item) => Number(item.style.getPropertyValue('--value')));
    assert.ok(Math.abs(value - best) < 1e-3, `run ${i}: ${value} is ${best}`);
  }
  await screenshot(page, 'compare');

  const [left, right] = await page.locator('.stage').evaluateAll((all) => all.map((stage) => stage.getBoundingClientRect().toJSON()));
  assert.equal(left.top, right.top);
  assert.ok(left.right <= right.left);
}));

test('the address keeps the choice of runs', () => onPage('run=vqa&compare=e2e', async (page) => {
  await pick(page, 0);
  assert.deepEqual(await page.locator('.stage figcaption b').allTextContents(), ['vqa', 'e2e']);
  await page.getByLabel('Compare with').selectOption('soho');
  await page.reload();
  await pick(page, 0);
  assert.deepEqual(await page.locator('.stage figcaption b').allTextContents(), ['vqa', 'soho']);
}));
