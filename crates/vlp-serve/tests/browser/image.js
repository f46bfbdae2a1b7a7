// @ts-check
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onPage, pick, screenshot, server, settled } from './browser.js';

/** @import { Page } from 'playwright-core' */

/**
 * The bytes of an example.
 *
 * @param {number} index
 */
async function exampleFile(index) {
  const response = await fetch(`${server.url}/v1/examples/${index}?model=e2e`);
  return Buffer.from(await response.arrayBuffer());
}

/** @param {Page} page @param {string} name @param {[number, number]} size */
async function shows(page, name, [width, height]) {
  await page.locator('#image-name', { hasText: name }).waitFor();
  await settled(page);
  const image = page.locator('.input-image');
  const natural = await image.evaluate((img) => [/** @type {HTMLImageElement} */ (img).naturalWidth, /** @type {HTMLImageElement} */ (img).naturalHeight]);
  assert.deepEqual(natural, [width, height]);
}

test('a file is chosen, and gives the same objects as the example that it is', () => onPage('run=e2e', async (page) => {
  await page.locator('#file').setInputFiles({ name: 'mine.png', mimeType: 'image/png', buffer: await exampleFile(6) });
  const { width, height, objects } = await server.ask('detect', 'e2e', 6);
  await shows(page, 'mine.png', [width, height]);
  await page.locator('#threshold').fill('0.05');
  assert.equal(await page.locator('.box').count(), objects.length);
}));

for (const [way, event] of [['dropped', 'drop'], ['pasted', 'paste']]) {
  test(`an image is ${way}`, () => onPage('run=e2e', async (page) => {
    await page.locator('.thumb').first().waitFor();
    const base64 = (await exampleFile(7)).toString('base64');
    await page.evaluate(([event, base64]) => {
      const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
      const data = new DataTransfer();
      data.items.add(new File([bytes], 'scene.png', { type: 'image/png' }));
      const options = { bubbles: true, cancelable: true };
      if (event === 'drop') document.body.dispatchEvent(new DragEvent('dragover', { ...options, dataTransfer: data }));
      if (event === 'drop' && document.getElementById('drop')?.hidden) throw new Error('the place to drop it is not shown');
      document.body.dispatchEvent(event === 'drop' ? new DragEvent('drop', { ...options, dataTransfer: data }) : new ClipboardEvent('paste', { ...options, clipboardData: data }));
    }, [event, base64]);
    await shows(page, event === 'drop' ? 'scene.png' : 'The pasted image', [64, 64]);
    assert.equal(await page.locator('#drop').isVisible(), false);
  }));
}

test('a format that the server does not read is converted, a size that it refuses reduced', () => onPage('run=e2e', async (page) => {
  const { limits } = await server.get('models');
  const bmp = Buffer.alloc(54 + 16 * 16 * 4, 0x80);
  bmp.write('BM');
  [[bmp.length, 2], [0, 6], [54, 10], [40, 14], [16, 18], [16, 22], [0x200001, 26], [0, 30], [0, 34], [0, 38], [0, 42], [0, 46], [0, 50]].forEach(([value, at]) => bmp.writeUInt32LE(value, at));
  await page.locator('#file').setInputFiles({ name: 'old.bmp', mimeType: 'image/bmp', buffer: bmp });
  await shows(page, 'old.bmp', [16, 16]);

  const width = limits.max_side + 100;
  const wide = await page.evaluate(async (width) => {
    const canvas = new OffscreenCanvas(width, 40);
    canvas.getContext('2d')?.fillRect(0, 0, width, 20);
    const bytes = new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer());
    return Array.from(bytes);
  }, width);
  await page.locator('#file').setInputFiles({ name: 'wide.png', mimeType: 'image/png', buffer: Buffer.from(wide) });
  await shows(page, 'wide.png', [limits.max_side, Math.floor(40 * limits.max_side / width)]);
  assert.match(await page.locator('#image-name').innerText(), /reduced from/);
  assert.equal(await page.locator('.notice.error:visible').count(), 0);
}));

test('a file that is no image is refused in words, and the image before stays', () => onPage('run=e2e', async (page) => {
  await pick(page, 0);
  await page.locator('#file').setInputFiles({ name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('no image') });
  const message = page.locator('#picker-message');
  await message.filter({ hasText: 'notes.txt is not an image' }).waitFor();
  assert.equal(await page.locator('.input-image').isVisible(), true);
  await screenshot(page, 'not-an-image');
  await pick(page, 1);
  assert.equal(await message.isVisible(), false);
}));
