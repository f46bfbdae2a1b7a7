// @ts-check
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { onPage, pick, screenshot, settled } from './browser.js';

/** @import { Page } from 'playwright-core' */

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds against WCAG 2.2 AA: names, roles, contrast. @param {Page} page */
export async function violations(page) {
  await page.evaluate(axe);
  return page.evaluate(async () => {
    // @ts-expect-error axe is a global variable of its script.
    const { violations } = await globalThis.axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'] });
    return violations.flatMap((/** @type {any} */ { id, nodes }) => nodes.map((/** @type {any} */ node) => `${id}: ${node.html}: ${node.failureSummary}`));
  });
}

for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
  for (const width of [1280, 768, 390]) {
    test(`WCAG AA and no sideways scrolling, ${colorScheme}, ${width} pixels`, async () => {
      const options = { colorScheme, viewport: { width, height: 844 } };
      for (const hash of ['run=e2e&compare=soho', 'run=vqa']) {
        await onPage(hash, async (page) => {
          await page.locator('.thumb').first().waitFor();
          if (hash !== 'run=vqa') {
            await page.getByLabel('Text that describes the images').fill('a red circle');
            await page.keyboard.press('Enter');
            await page.locator('#search .hits').waitFor();
          }
          assert.deepEqual(await violations(page), []);
          await pick(page, 1);
          if (hash === 'run=vqa') {
            await page.getByLabel('Question about the image').fill('what color is the circle?');
            await page.keyboard.press('Enter');
          } else {
            await page.locator('#threshold').fill('0.05');
            await page.getByLabel('Texts, one in each line').fill('a red circle\na blue star');
            await page.getByRole('button', { name: 'Match' }).click();
          }
          await page.locator('.bars').first().waitFor();
          await settled(page);
          assert.deepEqual(await violations(page), []);
          const [content, view] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
          assert.ok(content <= view, `${content} pixels in ${view}`);
          await screenshot(page, `${hash.replace(/\W/g, '-')}-${colorScheme}-${width}`);
        }, options);
      }
    });
  }
}

test('everything is reached by keyboard, with a visible focus', () => onPage('run=e2e', async (page) => {
  await page.locator('.thumb').first().waitFor();
  const focus = () => page.evaluate(() => {
    const element = document.activeElement;
    const shown = element instanceof HTMLInputElement && ['file', 'radio'].includes(element.type) ? element.parentElement : element;
    const outline = [shown, element?.nextElementSibling].some((part) => part && getComputedStyle(part).outlineStyle !== 'none');
    return { id: element?.id ?? '', name: element?.getAttribute('name') ?? '', kind: element?.className ?? '', outline };
  });
  const press = async (/** @type {string} */ key) => {
    await page.keyboard.press(key);
    const state = await focus();
    assert.ok(state.outline, `no outline on ${JSON.stringify(state)}`);
    return state;
  };
  assert.equal((await press('Tab')).id, 'run');
  assert.equal((await press('Tab')).id, 'compare');
  assert.equal((await press('Tab')).id, 'file');
  assert.equal((await press('Tab')).kind, 'thumb');
  assert.equal((await press('ArrowRight')).kind, 'thumb');
  await page.keyboard.press('Enter');
  await settled(page);
  assert.equal(await page.locator('.thumb').nth(1).getAttribute('aria-pressed'), 'true');
  assert.equal((await press('Tab')).id, 'threshold');
  await page.keyboard.press('Home');
  assert.equal(await page.locator('#threshold-value').innerText(), '0.05');
  const rows = await page.locator('#detect .row').count();
  for (let row = 0; row < rows; row += 1) assert.equal((await press('Tab')).kind, 'row');
  assert.equal((await press('Tab')).name, 'mode');
  for (const name of ['num_beams', 'length_penalty', 'no_repeat_ngram_size']) assert.equal((await press('Tab')).name, name);
  assert.equal((await press('Tab')).kind, 'word');
  assert.equal((await press('ArrowRight')).kind, 'word');
  await page.locator('canvas.heat').waitFor();
}));

test('results are read out', () => onPage('run=e2e', async (page) => {
  await page.evaluate(() => {
    const announcer = document.getElementById('announcer');
    /** @type {any} */ (globalThis).said = [];
    new MutationObserver(() => /** @type {any} */ (globalThis).said.push(announcer?.textContent)).observe(/** @type {Node} */ (announcer), { childList: true });
  });
  await pick(page, 1);
  await page.getByLabel('Texts, one in each line').fill('a red circle');
  await page.getByRole('button', { name: 'Match' }).click();
  await page.locator('#match .bars').waitFor();
  const said = (await page.evaluate(() => /** @type {any} */ (globalThis).said)).join('\n');
  for (const pattern of [/^Image /m, /objects? with a score of at least 0\.50/, /^Caption: /m, /^Best match: a red circle, /m]) assert.match(said, pattern);
}));
