// @ts-check
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onPage, pick, screenshot, server, settled } from './browser.js';

/**
 * The color in the middle of each cell.
 *
 * @param {import('playwright-core').Page} page
 * @param {{rows: number, columns: number}} grid
 */
const cellColors = (page, grid) => page.locator('canvas.codes').evaluate((canvas, { rows, columns }) => {
  if (!(canvas instanceof HTMLCanvasElement)) throw new Error('no canvas');
  const context = canvas.getContext('2d');
  return Array.from({ length: rows * columns }, (_, i) => {
    const x = ((i % columns) + 0.5) / columns * canvas.width;
    const y = (Math.floor(i / columns) + 0.5) / rows * canvas.height;
    return context?.getImageData(Math.floor(x), Math.floor(y), 1, 1).data.join(' ');
  });
}, grid);

test('cells have one color for each code', () => onPage('run=soho', async (page) => {
  await pick(page, 2);
  const grid = await server.ask('codes', 'soho', 2);
  await page.locator('canvas.codes').waitFor();
  const colors = await cellColors(page, grid);
  const codesOf = new Map(colors.map((color, i) => [color, grid.codes[i]]));
  assert.deepEqual(colors.map((color) => codesOf.get(color)), grid.codes);
  assert.equal(new Set(colors).size, new Set(grid.codes).size);
  await screenshot(page, 'codes');
  await page.getByRole('switch', { name: 'Color the cells' }).uncheck();
  await page.locator('canvas.codes').waitFor({ state: 'hidden' });
}));

test('a code shows its cells, typical patches and words', () => onPage('run=soho', async (page) => {
  await pick(page, 2);
  const grid = await server.ask('codes', 'soho', 2);
  const [code] = grid.codes;
  const expected = await server.get(`codes/${code}?model=soho`);
  await page.getByRole('button', { name: new RegExp(`^Code ${code},`) }).click();
  await settled(page);
  assert.equal(await page.locator('.patches img').count(), expected.patches.length);
  const widths = await page.locator('.patches img').evaluateAll((all) => all.map((image) => /** @type {HTMLImageElement} */ (image).naturalWidth));
  assert.ok(widths.every((width) => width > 0), 'all patches are images');
  assert.match(await page.locator('.legend').innerText(), new RegExp(`^Code ${code}: ${grid.codes.filter((/** @type {number} */ c) => c === code).length} of`));
  const colors = await cellColors(page, grid);
  const [clear] = colors;
  colors.forEach((color, i) => assert.equal(color === clear, grid.codes[i] === code, `cell ${i}`));
  await screenshot(page, 'code');
}));

test('a cell that is clicked selects its code', () => onPage('run=soho', async (page) => {
  await pick(page, 2);
  const grid = await server.ask('codes', 'soho', 2);
  const size = await page.locator('canvas.codes').boundingBox();
  assert.ok(size);
  const cell = grid.columns + 1;
  await page.locator('canvas.codes').click({ position: { x: 1.5 / grid.columns * size.width, y: 1.5 / grid.rows * size.height } });
  const chip = page.getByRole('button', { name: new RegExp(`^Code ${grid.codes[cell]},`) });
  assert.equal(await chip.getAttribute('aria-pressed'), 'true');
}));
