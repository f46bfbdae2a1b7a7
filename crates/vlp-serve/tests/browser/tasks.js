// @ts-check
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { violations } from './access.js';
import { onPage, pick, screenshot, server, settled } from './browser.js';

/** @import { Page } from 'playwright-core' */

const statement = 'there is a red circle in the left image';

/** What the server says of a statement. @param {number} left @param {number} right */
async function judged(left, right) {
  const body = JSON.stringify({
    model: 'nlvr2', pairs: [{ left: { example: left }, right: { example: right } }], statements: [statement],
  });
  const response = await fetch(`${server.url}/v1/statement`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  return /** @type {any} */ (await response.json()).results[0].statements[0].probability;
}

/** The bars of a part by their names. @param {Page} page @param {string} part */
async function bars(page, part) {
  await page.locator(`${part} .bars`).waitFor();
  await settled(page);
  const all = await page.locator(`${part} .bars li`).evaluateAll((items) => items.map((item) => [
    item.querySelector('.name')?.textContent, Number(item.style.getPropertyValue('--value')),
  ]));
  const values = all.map(([, value]) => value);
  assert.deepEqual(values, values.toSorted().reverse());
  return Object.fromEntries(all);
}

/** @param {Page} page @param {number} expected */
async function isTrueBy(page, expected) {
  const { true: isTrue, false: isFalse } = await bars(page, '#statement');
  assert.ok(Math.abs(isTrue - expected) < 1e-3 && Math.abs(isTrue + isFalse - 1) < 1e-6, `${isTrue} is not ${expected}`);
}

/** Names of the two images. @param {Page} page */
const names = (page) => page.locator('#statement .slot img').evaluateAll((all) => all.map((image) => image.getAttribute('alt')));

test('a statement is judged of the pair of an example, and of the two swapped', () => onPage('run=nlvr2', async (page) => {
  const { examples } = await server.get('examples?model=nlvr2');
  const { right } = examples[1];
  await pick(page, 1);
  await page.locator('#right-slot img').waitFor();
  assert.deepEqual(await names(page), [examples[1].name, examples[right].name]);
  await page.getByLabel('Statement about the two images').fill(statement);
  await page.keyboard.press('Enter');
  await isTrueBy(page, await judged(1, right));
  await page.locator('#statement .word').first().hover();
  await page.locator('canvas.heat').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Swap the images' }).click();
  await settled(page);
  assert.deepEqual(await names(page), [examples[right].name, examples[1].name]);
  await isTrueBy(page, await judged(right, 1));
  // A right image that was chosen stays.
  await pick(page, 0);
  assert.deepEqual(await names(page), [examples[0].name, examples[1].name]);
  await isTrueBy(page, await judged(0, 1));
  await page.getByRole('button', { name: 'Take the second image of its pair' }).click();
  await page.locator(`#right-slot img[alt="${examples[examples[0].right].name}"]`).waitFor();
  await settled(page);
  await isTrueBy(page, await judged(0, examples[0].right));
  assert.deepEqual(await violations(page), []);
  await screenshot(page, 'statement');
}));

test('a file is chosen as the second image, which is asked for where there is none', () => onPage('run=nlvr2', async (page) => {
  const { examples } = await server.get('examples?model=nlvr2');
  const { right } = examples[0];
  // An image on the right in its pair has none on its own right.
  await pick(page, right);
  await page.locator('#right-slot').getByText('Choose a second image').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Swap the images' }).isDisabled(), true);
  await page.getByLabel('Statement about the two images').fill(statement);
  await page.getByRole('button', { name: 'Judge' }).click();
  assert.equal(await page.locator('#statement-message').innerText(), 'Choose a second image first.');
  assert.deepEqual(await violations(page), []);
  await screenshot(page, 'statement-without-right');
  const response = await fetch(`${server.url}/v1/examples/2?model=nlvr2`);
  const buffer = Buffer.from(await response.arrayBuffer());
  await page.locator('#right-file').setInputFiles({ name: 'mine.png', mimeType: 'image/png', buffer });
  await page.locator('#right-slot img[alt="mine.png"]').waitFor();
  await isTrueBy(page, await judged(right, 2));
  assert.equal(await page.locator('#statement-message').innerText(), '');
  await page.locator('#right-file').setInputFiles({ name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('no image') });
  await page.locator('#statement-message').filter({ hasText: 'notes.txt is not an image' }).waitFor();
  assert.deepEqual(await names(page), [examples[right].name, 'mine.png']);
}));

test('a hypothesis is judged, with a premise and without one', () => onPage('run=entail', async (page) => {
  const hypothesis = 'a star is red';
  await pick(page, 2);
  await page.getByLabel('Hypothesis about the image').fill(hypothesis);
  for (const premise of ['', 'a red star and a blue circle']) {
    await page.getByLabel('Premise, a caption of the image').fill(premise);
    await page.getByLabel('Hypothesis about the image').focus();
    await page.keyboard.press('Enter');
    await settled(page);
    const parameters = { hypotheses: [hypothesis], ...(premise === '' ? {} : { premise }) };
    const { hypotheses: [{ hypothesis: _, ...expected }] } = await server.ask('entail', 'entail', 2, parameters);
    const shown = await bars(page, '#entail');
    for (const [name, value] of Object.entries(expected)) assert.ok(Math.abs(shown[name] - value) < 1e-3, `${name}: ${shown[name]}, ${value}`);
  }
  assert.deepEqual(await violations(page), []);
  await screenshot(page, 'entail');
}));

test('heads of tasks are said in words, on a narrow page as well', () => onPage('run=nlvr2&compare=entail', async (page) => {
  await page.locator('.thumb').first().waitFor();
  const lead = await page.locator('#lead').innerText();
  assert.match(lead, /nlvr2 .*judges statements about two images/);
  assert.match(lead, /entail .*judges hypotheses/);
  await pick(page, 0);
  const [content, view] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(content <= view, `${content} pixels in ${view}`);
  assert.deepEqual(await violations(page), []);
  await screenshot(page, 'tasks-narrow');
}, { viewport: { width: 390, height: 844 } }));
