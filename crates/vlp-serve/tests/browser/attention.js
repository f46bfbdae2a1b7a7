// @ts-check
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseWide, onPage, pick, screenshot, server } from './browser.js';

/** @import { Page } from 'playwright-core' */

/**
 * The cell on which the overlay is brightest.
 *
 * @param {Page} page
 * @param {{rows: number, columns: number}} grid
 */
async function brightest(page, { rows, columns }) {
  await page.locator('canvas.heat').waitFor();
  return page.locator('canvas.heat').evaluate((canvas, grid) => {
    if (!(canvas instanceof HTMLCanvasElement)) throw new Error('no canvas');
    const { width, height } = canvas;
    const pixels = canvas.getContext('2d')?.getImageData(0, 0, width, height).data ?? [];
    const at = (/** @type {number} */ i) => {
      const [row, column] = [Math.floor(i / grid.columns), i % grid.columns];
      const x = Math.floor(((column + 0.5) / grid.columns) * width);
      const y = Math.floor(((row + 0.5) / grid.rows) * height);
      // Green rises evenly in the color map.
      return pixels[(y * width + x) * 4 + 1];
    };
    const cells = Array.from({ length: grid.rows * grid.columns }, (_, i) => i);
    return cells.reduce((best, cell) => (at(cell) > at(best) ? cell : best), 0);
  }, { rows, columns });
}

/** @param {number[]} weights */
const greatest = (weights) => weights.indexOf(Math.max(...weights));

test('a word of the caption shows where it looks, pointed at or focused', () => onPage('run=e2e', async (page) => {
  await pick(page, 1);
  const text = await page.locator('#caption .spoken .words').textContent();
  const maps = await server.ask('attention', 'e2e', 1, { captions: [text] });
  const words = page.locator('#caption .spoken .word');
  assert.equal(await words.count(), maps.captions[0].words.length);

  await words.nth(0).hover();
  assert.equal(await brightest(page, maps), greatest(maps.captions[0].words[0].weights));
  assert.match(await page.locator('.legend').innerText(), new RegExp(maps.captions[0].words[0].word));
  await screenshot(page, 'attention-word');
  await page.locator('h1').hover();
  await page.locator('canvas.heat').waitFor({ state: 'hidden' });

  await words.nth(0).focus();
  await page.keyboard.press('ArrowRight');
  await page.waitForFunction((word) => document.querySelector('.legend')?.textContent?.includes(`“${word}”`), maps.captions[0].words[1].word);
  assert.equal(await brightest(page, maps), greatest(maps.captions[0].words[1].weights));
}));

test('a box shows where its query looks, and keeps showing it after a click until Escape', () => onPage('run=e2e', async (page) => {
  const image = await chooseWide(page);
  await page.locator('#threshold').fill('0.05');
  const { objects } = await server.ask('detect', 'e2e', image);
  const maps = await server.ask('attention', 'e2e', image, { queries: [objects[0].query] });
  assert.ok(maps.columns > maps.rows);
  await page.locator('.label').first().click();
  await page.locator('h1').hover();
  assert.equal(await brightest(page, maps), greatest(maps.queries[0].weights));
  assert.equal(await page.locator('.box.chosen').count(), 1);
  assert.equal(await page.locator('#detect .row').first().getAttribute('aria-pressed'), 'true');
  await screenshot(page, 'attention-box');
  await page.keyboard.press('Escape');
  await page.locator('canvas.heat').waitFor({ state: 'hidden' });
}));

test('words of questions and texts look too, for both systems', async () => {
  await onPage('run=vqa', async (page) => {
    await pick(page, 1);
    await page.getByLabel('Question about the image').fill('What color is the circle?');
    await page.keyboard.press('Enter');
    const maps = await server.ask('attention', 'vqa', 1, { texts: ['What color is the circle?'] });
    await page.locator('#answer .word', { hasText: 'circle' }).hover();
    assert.equal(await brightest(page, maps), greatest(maps.texts[0].words[4].weights));
  });
  await onPage('run=soho', async (page) => {
    await pick(page, 1);
    await page.getByLabel('Texts, one in each line').fill('a red circle');
    await page.getByRole('button', { name: 'Match' }).click();
    const maps = await server.ask('attention', 'soho', 1, { texts: ['a red circle'] });
    await page.locator('#match .word', { hasText: 'red' }).hover();
    assert.equal(await brightest(page, maps), greatest(maps.texts[0].words[1].weights));
  });
});

test('on a touch screen a tap shows it and another tap ends it', () => onPage('run=e2e', async (page) => {
  await pick(page, 1);
  const word = page.locator('#caption .spoken .word').first();
  await word.tap();
  await page.locator('canvas.heat').waitFor();
  assert.equal(await word.getAttribute('aria-pressed'), 'true');
  await word.tap();
  assert.equal(await word.getAttribute('aria-pressed'), 'false');
}, { hasTouch: true, viewport: { width: 390, height: 844 } }));
