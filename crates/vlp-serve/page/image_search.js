// @ts-check
// Images of the index that a text describes.

import { search, thumbnailUrl } from './api.js';
import { announce, byId, h, plural } from './dom.js';
import { Panel } from './panel.js';
import { provenance, scores } from './search_hits.js';
import { tooLong } from './texts.js';

/** @import { ImageHit, SearchHits } from './types.js' */

/** Images that are shown. */
const TOP = 24;
/** Texts that are suggested. */
const SUGGESTIONS = 3;

export class ImageSearch extends Panel {
  /** @param {import('./app.js').App} app */
  constructor(app) {
    super(app, 'search', 'This run searches in no index.');
    this.input = byId('search-text', HTMLInputElement);
    this.message = byId('search-message', HTMLElement);
    /** The text that was searched for last, and in which runs. */
    this.text = '';
    byId('search-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      const text = this.input.value.trim();
      this.message.textContent = text === '' ? 'Type a text first.' : tooLong([text], app.limits);
      if (this.message.textContent !== '') return this.input.focus();
      this.text = text;
      this.search();
    });
    app.addEventListener('examples', () => this.suggest());
  }

  prepare() {
    this.suggest();
    this.search();
  }

  search() {
    const { text } = this;
    if (text === '') return;
    for (const column of this.columns) {
      column.task.run((signal) => search(column.model.name, { texts: [text], top: TOP }, signal), (hits) => {
        this.render(column, text, hits);
      });
    }
  }

  /** Offers captions of the examples. */
  suggest() {
    const captions = this.app.examples.map(({ captions }) => captions[0]);
    const texts = [...new Set(captions)].filter(Boolean).slice(0, SUGGESTIONS);
    const take = (/** @type {string} */ text) => {
      this.input.value = text;
      this.input.form?.requestSubmit();
    };
    const buttons = texts.map((text) => h('button', { type: 'button', class: 'chip', onclick: () => take(text) }, text));
    byId('search-suggestions', HTMLElement).replaceChildren(...(buttons.length > 0 ? [h('span', {}, 'Try'), ...buttons] : []));
  }

  /**
   * @param {Panel['columns'][number]} column
   * @param {string} text
   * @param {SearchHits} hits
   */
  render(column, text, hits) {
    const { images } = hits;
    const tiles = images.map((hit) => this.tile(column, hit));
    const list = images.length === 0
      ? h('p', { class: 'empty' }, 'The index has no images.')
      : h('ol', { class: 'hits' }, ...tiles);
    column.body.replaceChildren(list, h('p', { class: 'note' }, provenance(hits, 'image')));
    const best = images.length > 0 ? `, the best is ${images[0].name}` : '';
    announce(this.named(column, `${plural(images.length, 'image')} for ${text}${best}`));
  }

  /**
   * @param {Panel['columns'][number]} column
   * @param {ImageHit} hit
   */
  tile({ model }, hit) {
    const has = model.search?.thumbnails ?? false;
    const image = has && h('img', { loading: 'lazy', alt: `Image ${hit.name}`, src: thumbnailUrl(model.name, hit.image) });
    return h(
      'li',
      {},
      image,
      h('b', { title: hit.name }, hit.name),
      hit.texts.length > 0 && h('span', { class: 'hit-text' }, hit.texts[0]),
      h('small', {}, scores(hit)),
    );
  }
}
