// @ts-check
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseWide, onPage, pick, requestsOf, screenshot, server } from './browser.js';

/** @import { Detection } from '../../page/types.js' */

/** @param {import('playwright-core').Page} page @param {number} value */
const setThreshold = (page, value) => page.locator('#threshold').fill(String(value));

test('objects are drawn where the model finds them, filtered without another request', () => onPage('run=e2e', async (page) => {
  const image = await chooseWide(page);
  /** @type {Detection} */
  const { width, height, objects } = await server.ask('detect', 'e2e', image);
  assert.deepEqual([width, height], [128, 64]);
  assert.ok(objects.length > 1, 'the run finds two objects with the least score');

  for (const threshold of [0.05, Math.ceil(objects[0].score * 100) / 100 - 0.01]) {
    const paths = await requestsOf(page, () => setThreshold(page, threshold));
    assert.deepEqual(paths, []);
    const shown = objects.filter(({ score }) => score >= threshold);
    assert.equal(await page.locator('.box').count(), shown.length);
    const labels = await page.locator('#detect .row .name').allTextContents();
    shown.forEach((object, i) => {
      assert.ok(labels[i].startsWith(object.class), `${labels[i]} is a ${object.class}`);
      const [attribute] = object.attributes;
      assert.ok(labels[i].includes(attribute.name), `${labels[i]} is ${attribute.name}`);
    });
    const frame = await page.locator('.frame').boundingBox();
    const boxes = await page.locator('.box').evaluateAll((all) => all.map((box) => box.getBoundingClientRect().toJSON()));
    assert.ok(frame);
    shown.forEach(({ bbox: [left, top, right, bottom] }, i) => {
      const expected = [
        frame.x + Math.max(left, 0) / width * frame.width, frame.y + Math.max(top, 0) / height * frame.height,
        frame.x + Math.min(right, width) / width * frame.width, frame.y + Math.min(bottom, height) / height * frame.height,
      ];
      const { left: x0, top: y0, right: x1, bottom: y1 } = boxes[i];
      [x0, y0, x1, y1].forEach((edge, side) => assert.ok(Math.abs(edge - expected[side]) < 1, `edge ${side} of box ${i}`));
    });
  }
  await setThreshold(page, 0.05);
  await screenshot(page, 'objects');
}));

test('no object above the threshold: the page says which is the best and shows it', () => onPage('run=e2e', async (page) => {
  await pick(page, 1);
  await setThreshold(page, 1);
  assert.equal(await page.locator('.box').count(), 0);
  await screenshot(page, 'objects-empty');
  await page.getByRole('button', { name: 'Lower it to' }).click();
  assert.ok(await page.locator('.box').count() >= 1);
}));

test('labels of objects cover each other only where there is no room', () => onPage('run=e2e', async (page) => {
  await pick(page, 1);
  await setThreshold(page, 0.05);
  const labels = await page.locator('.label').evaluateAll((all) => all.map((label) => label.getBoundingClientRect().toJSON()));
  const frame = await page.locator('.frame').boundingBox();
  assert.ok(frame);
  for (const { left, right, top, bottom } of labels) {
    assert.ok(left >= frame.x - 1 && right <= frame.x + frame.width + 1 && top >= frame.y - 1 && bottom <= frame.y + frame.height + 1);
  }
  const [a, b] = labels;
  assert.ok(a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top, 'the two best labels are apart');
}));

test('a run with two label spaces detects the classes of the chosen one', () => onPage('run=both', async (page) => {
  const { models } = await server.get('models');
  /** @type {{name: string, classes: string[]}[]} */
  const spaces = models.find((/** @type {{name: string}} */ { name }) => name === 'both').label_spaces;
  assert.equal(spaces.length, 2);
  await pick(page, 0);
  await setThreshold(page, 0.05);
  const choice = page.getByLabel('Classes');
  assert.equal(await choice.inputValue(), spaces[0].name);
  for (const { name, classes } of spaces.reverse()) {
    const answer = page.waitForResponse((response) => response.url().endsWith('/v1/detect'));
    await choice.selectOption(name);
    const response = await answer;
    assert.equal(response.request().postDataJSON().label_space, name);
    /** @type {Detection} */
    const { objects } = (await response.json()).results[0];
    assert.ok(objects.length > 0);
    for (const object of objects) assert.ok(classes.includes(object.class), `${object.class} is of ${name}`);
    await page.locator('#detect .result', { hasText: objects[0].class }).waitFor();
    const shown = page.locator('#detect .row .name');
    assert.equal(await shown.count(), objects.filter(({ score }) => score >= 0.05).length);
  }
  await screenshot(page, 'objects-label-spaces');
  await page.locator('#run').selectOption('e2e');
  await choice.waitFor({ state: 'hidden' });
}));
