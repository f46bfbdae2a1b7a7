// @ts-check
// Captions: the best one large, the other beams or samples below.

import { ask } from './api.js';
import { announce, byId, h } from './dom.js';
import { Panel } from './panel.js';
import { once, words } from './words.js';

/** @import { Caption } from './types.js' */

/** Beams of the search where the run is greedy: its alternatives are worth seeing. */
const BEAMS = 4;
/** Milliseconds without a change before captions are generated with new settings. */
const PAUSE = 350;

export class Captions extends Panel {
  /** @param {import('./app.js').App} app */
  constructor(app) {
    super(app, 'caption', 'This run writes no captions.');
    this.form = byId('caption-form', HTMLFormElement);
    this.message = byId('caption-message', HTMLElement);
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    /** The model whose settings the form shows. @type {string | null} */
    this.preset = null;
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.refresh();
    });
    this.form.addEventListener('input', () => {
      this.showMode();
      clearTimeout(this.timer);
      if (this.check()) this.timer = setTimeout(() => this.refresh(), PAUSE);
    });
    byId('another', HTMLButtonElement).addEventListener('click', () => {
      const seed = this.field('seed');
      seed.value = String((Number(seed.value) || 0) + 1);
      this.refresh();
    });
    /** Human captions, where the image is an example. */
    this.reference = h('p', { class: 'note' });
    this.section.append(this.reference);
    this.showMode();
  }

  /** @param {string} name */
  field(name) {
    return /** @type {HTMLInputElement} */ (this.form.elements.namedItem(name));
  }

  get mode() {
    return new FormData(this.form).get('mode') === 'sampling' ? 'sampling' : 'search';
  }

  showMode() {
    for (const mode of ['search', 'sampling']) {
      const settings = byId(`${mode}-settings`, HTMLFieldSetElement);
      settings.hidden = settings.disabled = mode !== this.mode;
    }
  }

  prepare() {
    const model = this.columns[0]?.model;
    if (!model?.caption || model.name === this.preset) return;
    this.preset = model.name;
    const { num_beams, length_penalty, no_repeat_ngram_size } = model.caption;
    this.field('num_beams').value = String(num_beams > 1 ? num_beams : BEAMS);
    this.field('length_penalty').value = String(length_penalty);
    this.field('no_repeat_ngram_size').value = String(no_repeat_ngram_size);
  }

  /** Whether the settings are in their ranges; says which one is not. */
  check() {
    const inputs = [...this.form.elements].filter((element) => element instanceof HTMLInputElement);
    for (const input of inputs) input.setAttribute('aria-invalid', String(!input.validity.valid));
    const wrong = inputs.find((input) => !input.validity.valid);
    this.message.textContent = wrong ? `${wrong.labels?.[0]?.textContent?.trim()}: ${wrong.validationMessage}` : '';
    return !wrong;
  }

  settings() {
    const inputs = byId(`${this.mode}-settings`, HTMLFieldSetElement).querySelectorAll('input');
    const values = [...inputs].map((input) => [input.name, input.valueAsNumber]);
    return { [this.mode]: Object.fromEntries(values) };
  }

  refresh() {
    clearTimeout(this.timer);
    const { image } = this.app;
    const people = image?.origin?.example.captions ?? [];
    this.reference.textContent = people.length > 0 ? `In the data: ${people.join('; ')}` : '';
    if (!image || !this.check()) return;
    const settings = this.settings();
    for (const column of this.columns) {
      column.task.run((signal) => ask('caption', column.model.name, image, settings, signal), ({ captions }) => {
        const texts = captions.map((/** @type {Caption} */ caption) => caption.text).slice(0, this.app.limits.max_texts);
        column.attention = once(() => ask('attention', column.model.name, image, { captions: texts }));
        this.render(column, captions);
      });
    }
  }

  /**
   * @param {Panel['columns'][number]} column
   * @param {Caption[]} captions
   */
  render(column, captions) {
    const isSearch = this.mode === 'search';
    /** @type {(caption: Caption, i: number) => HTMLElement} */
    const text = ({ text }, i) => {
      if (text === '') return h('span', { class: 'empty' }, 'An empty caption');
      return words(text, column.stage, column.canAttend ? async () => {
        const attention = await column.attention();
        return { attention, text: attention.captions[i] };
      } : null);
    };
    const score = (/** @type {Caption} */ caption) => h('span', { class: 'number', title: 'Log-probability, divided by the length penalty' }, caption.score.toFixed(2).replace('-', '−'));
    const [best] = captions;
    if (!best) {
      column.body.replaceChildren(h('p', { class: 'empty' }, 'The search ended without a caption.'));
      return;
    }
    const items = captions.map((caption, i) => h('li', {}, text(caption, i), score(caption)));
    // Samples are not ranked: none of them is the caption.
    const spoken = isSearch ? [h('p', { class: 'spoken' }, ...items[0].childNodes)] : [];
    const listed = isSearch ? items.slice(1) : items;
    const heading = h('h4', {}, isSearch ? 'Other beams' : 'Samples', h('span', {}, 'score'));
    column.body.replaceChildren(...spoken, ...(listed.length > 0 ? [heading, h('ol', { class: 'beams' }, ...listed)] : []));
    announce(this.named(column, `Caption: ${best.text || 'empty'}`));
  }
}
