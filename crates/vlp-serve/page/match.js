// @ts-check
// Texts and how well they match the image.

import { ask } from './api.js';
import { bars } from './bars.js';
import { announce, byId, h, probability } from './dom.js';
import { Panel } from './panel.js';
import { tooLong } from './texts.js';
import { once, words } from './words.js';

/** @import { Attention, Match } from './types.js' */

/** Texts that are suggested. */
const SUGGESTIONS = 3;

export class Matches extends Panel {
  /** @param {import('./app.js').App} app */
  constructor(app) {
    super(app, 'match', 'This run matches no texts.');
    this.input = byId('texts', HTMLTextAreaElement);
    this.message = byId('texts-message', HTMLElement);
    this.suggestions = byId('suggestions', HTMLElement);
    /** The texts that were matched last; matched again with every new image. @type {string[]} */
    this.texts = [];
    app.addEventListener('examples', () => this.suggest());
    const form = byId('match-form', HTMLFormElement);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const lines = this.input.value.split('\n').map((line) => line.trim());
      const texts = [...new Set(lines.filter((line) => line !== ''))];
      this.message.textContent = texts.length === 0 ? 'Type a text first.' : tooLong(texts, app.limits);
      if (this.message.textContent !== '') return this.input.focus();
      this.texts = texts;
      this.refresh();
    });
    // Enter begins a line, as people expect in a text area.
    this.input.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    });
  }

  refresh() {
    const { image } = this.app;
    this.suggest();
    if (!image || this.texts.length === 0) return;
    const { texts } = this;
    for (const column of this.columns) {
      column.task.run((signal) => ask('match', column.model.name, image, { texts }, signal), ({ matches }) => {
        const attention = once(() => ask('attention', column.model.name, image, { texts }));
        this.render(column, matches, attention);
      });
    }
  }

  /** Offers captions of people, if the image has some, and of other images. */
  suggest() {
    const { image, examples } = this.app;
    const captions = image?.origin?.example.captions ?? [];
    const others = examples.filter(({ index }) => index !== image?.origin?.example.index).map((example) => example.captions[0]);
    const texts = [...new Set([...captions.slice(0, 2), ...others])].filter(Boolean).slice(0, SUGGESTIONS);
    const add = (/** @type {string} */ text) => {
      const lines = this.input.value.split('\n').filter((line) => line.trim() !== '' && line.trim() !== text);
      this.input.value = [...lines, text].join('\n');
      this.input.form?.requestSubmit();
    };
    const buttons = texts.map((text) => h('button', { type: 'button', class: 'chip', onclick: () => add(text) }, text));
    this.suggestions.replaceChildren(...(buttons.length > 0 ? [h('span', {}, 'Try'), ...buttons] : []));
  }

  /**
   * @param {Panel['columns'][number]} column
   * @param {Match[]} matches
   * @param {() => Promise<Attention>} attention
   */
  render(column, matches, attention) {
    const entries = matches.map(({ text, probability }, i) => {
      const load = async () => {
        const maps = await attention();
        return { attention: maps, text: maps.texts[i] };
      };
      return { label: words(text, column.stage, column.canAttend ? load : null), value: probability, text };
    });
    entries.sort((a, b) => b.value - a.value);
    column.body.replaceChildren(bars(entries));
    const [best] = entries;
    announce(this.named(column, `Best match: ${best.text}, ${probability(best.value)}`));
  }
}
