// @ts-check
// Texts of the index that describe the image.

import { ask } from './api.js';
import { announce, h, plural } from './dom.js';
import { Panel } from './panel.js';
import { provenance, scores } from './search_hits.js';

/** @import { SearchHits, TextHit } from './types.js' */

/** Texts that are shown. */
const TOP = 5;

export class TextSearch extends Panel {
  /** @param {import('./app.js').App} app */
  constructor(app) {
    super(app, 'search', 'This run searches in no index.', 'search-texts');
  }

  refresh() {
    const { image } = this.app;
    if (!image) return;
    for (const column of this.columns) {
      const request = (/** @type {AbortSignal} */ signal) => ask('search', column.model.name, image, { top: TOP }, signal);
      column.task.run(request, (hits) => this.render(column, hits));
    }
  }

  /**
   * @param {Panel['columns'][number]} column
   * @param {SearchHits} hits
   */
  render(column, hits) {
    const { texts } = hits;
    const items = texts.map((/** @type {TextHit} */ hit) => h(
      'li',
      {},
      h('span', { class: 'hit-text' }, hit.text),
      h('small', {}, `${scores(hit)}, of ${plural(hit.image_count, 'image')}`),
    ));
    const list = texts.length === 0
      ? h('p', { class: 'empty' }, 'The index has no texts.')
      : h('ol', { class: 'text-hits' }, ...items);
    column.body.replaceChildren(list, h('p', { class: 'note' }, provenance(hits, 'text')));
    if (texts.length > 0) announce(this.named(column, `Text of the index: ${texts[0].text}`));
  }
}
