// @ts-check
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onPage, pick, screenshot, server, settled } from './browser.js';

const question = 'what color is the circle?';

/** @param {import('playwright-core').Page} page @param {number} example */
async function compare(page, example) {
  const { questions: [{ answers }] } = await server.ask('answer', 'vqa', example, { questions: [question] });
  assert.deepEqual(await page.locator('#answer .bars .name').allTextContents(), answers.map((/** @type {any} */ { answer }) => answer));
  const widths = await page.locator('#answer .bars li').evaluateAll((all) => all.map((item) => Number(item.style.getPropertyValue('--value'))));
  answers.forEach((/** @type {any} */ { probability }, /** @type {number} */ i) => assert.ok(Math.abs(widths[i] - probability) < 1e-3));
}

test('answers with their probabilities, and again for the next image', () => onPage('run=vqa', async (page) => {
  await pick(page, 3);
  await page.getByLabel('Question about the image').fill(question);
  await page.keyboard.press('Enter');
  await settled(page);
  await page.locator('#answer .bars').waitFor();
  await compare(page, 3);
  await screenshot(page, 'answer');
  await pick(page, 4);
  await compare(page, 4);
}));

test('an empty question is not sent', () => onPage('run=vqa', async (page) => {
  await pick(page, 3);
  await page.getByRole('button', { name: 'Ask' }).click();
  assert.equal(await page.locator('#question-message').innerText(), 'Type a question first.');
}));

test('a question that is too long is not sent', () => onPage('run=vqa', async (page) => {
  await pick(page, 3);
  await page.getByLabel('Question about the image').fill('why '.repeat(2000));
  await page.getByRole('button', { name: 'Ask' }).click();
  assert.match(await page.locator('#question-message').innerText(), /longer than \d+ bytes/);
}));

test('heads that a run has not are not offered', () => onPage('run=e2e', async (page) => {
  for (const name of ['e2e', 'vqa', 'nlvr2', 'entail', 'soho']) {
    await page.locator('#run').selectOption(name);
    await pick(page, 0);
    const { models } = await server.get('models');
    const { heads } = models.find((/** @type {{name: string}} */ model) => model.name === name);
    for (const head of ['detect', 'caption', 'answer', 'match', 'statement', 'entail', 'codes']) {
      assert.equal(await page.locator(`#${head}`).isVisible(), heads.includes(head), `${head} of ${name}`);
    }
  }
}));
