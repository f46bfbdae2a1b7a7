// @ts-check
// Objects, filtered by score without asking again.

import { ask } from './api.js';
import { classColor } from './colors.js';
import { announce, byId, h, plural, probability } from './dom.js';
import { Panel } from './panel.js';
import { attends } from './stage.js';
import { once } from './words.js';

/** @import { Detection, DetectedObject } from './types.js' */

/** Attributes are named down to this part of the greatest probability: those of an object share a sum of 1. */
const NAMED_ATTRIBUTES = 0.5;

export class Objects extends Panel {
  /** @param {import('./app.js').App} app */
  constructor(app) {
    super(app, 'detect', 'This run detects no objects.');
    this.slider = byId('threshold', HTMLInputElement);
    this.output = byId('threshold-value', HTMLOutputElement);
    this.labelSpace = byId('label-space', HTMLSelectElement);
    this.labelSpace.addEventListener('change', () => this.refresh());
    this.slider.addEventListener('input', () => this.render());
    this.slider.addEventListener('change', () => this.report());
  }

  get threshold() {
    return Number(this.slider.value);
  }

  /** Offers the label spaces of the runs, if one has a choice; the chosen one stays. */
  prepare() {
    const spaces = this.columns.map(({ model }) => model.label_spaces.map(({ name }) => name));
    const names = [...new Set(spaces.flat())];
    const chosen = this.labelSpace.value;
    this.labelSpace.replaceChildren(...names.map((name) => h('option', { value: name }, name)));
    this.labelSpace.value = names.includes(chosen) ? chosen : names[0] ?? '';
    const label = /** @type {HTMLElement} */ (this.labelSpace.parentElement);
    label.hidden = spaces.every((of) => of.length < 2);
  }

  /**
   * What is sent with an image: a run without the chosen label space detects the classes of its first.
   * @param {Panel['columns'][number]} column
   */
  parameters({ model }) {
    const name = this.labelSpace.value;
    return model.label_spaces.some((space) => space.name === name) ? { label_space: name } : {};
  }

  refresh() {
    const { image } = this.app;
    for (const column of this.columns) {
      column.answer = null;
      if (!image) continue;
      column.stage.setBusy(true);
      const { name } = column.model;
      const asked = column.task.run((signal) => ask('detect', name, image, this.parameters(column), signal), (detection) => {
        column.answer = detection;
        const queries = detection.objects.map((/** @type {DetectedObject} */ object) => object.query);
        column.attention = once(() => ask('attention', name, image, { queries: queries.slice(0, this.app.limits.max_texts) }));
        this.renderColumn(column);
        this.report();
      });
      asked.finally(() => column.stage.setBusy(false));
    }
  }

  render() {
    this.output.value = this.threshold.toFixed(2);
    for (const column of this.columns) if (column.answer) this.renderColumn(column);
  }

  report() {
    const counts = this.columns.filter((column) => column.answer).map((column) => {
      const count = column.answer.objects.filter((/** @type {DetectedObject} */ object) => object.score >= this.threshold).length;
      return this.named(column, plural(count, 'object'));
    });
    if (counts.length > 0) announce(`${counts.join(', ')} with a score of at least ${this.threshold.toFixed(2)}`);
  }

  /** @param {Panel['columns'][number]} column */
  renderColumn(column) {
    /** @type {Detection} */
    const detection = column.answer;
    const shown = detection.objects.filter((object) => object.score >= this.threshold);
    /** @type {Map<DetectedObject, HTMLElement>} */
    const rows = new Map();
    for (const object of shown) rows.set(object, this.row(object, column));
    column.stage.release();
    column.stage.setObjects(detection, this.threshold, (object) => rows.get(object));
    if (shown.length > 0) {
      const items = [...rows.values()].map((row) => h('li', {}, row));
      column.body.replaceChildren(h('ul', { class: 'rows' }, ...items));
    } else {
      column.body.replaceChildren(this.empty(detection));
    }
  }

  /**
   * @param {DetectedObject} object
   * @param {Panel['columns'][number]} column
   */
  row(object, column) {
    const least = NAMED_ATTRIBUTES * (object.attributes[0]?.probability ?? 0);
    const attributes = object.attributes.filter((attribute) => attribute.probability >= least);
    const meter = h('span', { class: 'meter' }, h('i'));
    meter.style.setProperty('--value', String(object.score));
    meter.style.setProperty('--color', classColor(object.class));
    const row = h(
      'button',
      { type: 'button', class: 'row' },
      h('span', { class: 'name' }, object.class, attributes.length > 0 && h('small', {}, attributes.map(({ name }) => name).join(', '))),
      meter,
      h('span', { class: 'number' }, probability(object.score)),
    );
    row.title = object.attributes.map(({ name, probability: p }) => `${name} ${probability(p)}`).join('\n');
    attends(row, column.stage, object.class, async () => {
      if (!column.canAttend) throw new Error('this run does not show it.');
      const attention = await column.attention();
      const map = attention.queries.find(({ query }) => query === object.query);
      if (!map) throw new Error('there are too many objects to show it for all of them.');
      return { rows: attention.rows, columns: attention.columns, weights: map.weights };
    }, object.query);
    return row;
  }

  /** @param {Detection} detection */
  empty({ objects: [best] }) {
    if (!best) return h('p', { class: 'empty' }, 'The model sees no objects in this image.');
    const score = Math.floor(best.score * 100) / 100;
    const lower = () => {
      this.slider.value = String(score);
      this.render();
      this.report();
      this.slider.focus();
    };
    return h(
      'div',
      { class: 'empty' },
      h('p', {}, `No object has a score of ${this.threshold.toFixed(2)} or more. The best, ${best.class}, has ${score.toFixed(2)}.`),
      h('button', { type: 'button', class: 'quiet', onclick: lower }, `Lower it to ${score.toFixed(2)}`),
    );
  }
}
