// @ts-check
// A hypothesis about the image: entailed, open or contradicted.

import { ask } from './api.js';
import { bars } from './bars.js';
import { announce, byId, h, probability } from './dom.js';
import { Panel } from './panel.js';
import { tooLong } from './texts.js';
import { once, words } from './words.js';

/** @import { Attention, EntailedHypothesis } from './types.js' */

const RELATIONS = /** @type {const} */ (['entailment', 'neutral', 'contradiction']);

export class Entailments extends Panel {
  /** @param {import('./app.js').App} app */
  constructor(app) {
    super(app, 'entail', 'This run judges no hypotheses.');
    this.input = byId('hypothesis', HTMLInputElement);
    this.premise = byId('premise', HTMLInputElement);
    this.message = byId('hypothesis-message', HTMLElement);
    /** The texts that were judged last; judged again of every new image. */
    this.asked = { hypothesis: '', premise: '' };
    byId('entail-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      const [hypothesis, premise] = [this.input.value.trim(), this.premise.value.trim()];
      this.message.textContent = hypothesis === '' ? 'Type a hypothesis first.' : tooLong([hypothesis, premise], app.limits);
      if (this.message.textContent !== '') return this.input.focus();
      this.asked = { hypothesis, premise };
      this.refresh();
    });
  }

  prepare() {
    byId('premise-field', HTMLElement).hidden = !this.columns.some(({ model }) => model.premise);
  }

  refresh() {
    const { image } = this.app;
    const { hypothesis, premise } = this.asked;
    if (!image || hypothesis === '') return;
    for (const column of this.columns) {
      const { name } = column.model;
      const hasPremise = column.model.premise && premise !== '';
      const parameters = { hypotheses: [hypothesis], ...(hasPremise ? { premise } : {}) };
      column.task.run((signal) => ask('entail', name, image, parameters, signal), ({ hypotheses: [judged] }) => {
        const load = once(async () => {
          /** @type {Attention} */
          const attention = await ask('attention', name, image, { texts: [hypothesis] });
          return { attention, text: attention.texts[0] };
        });
        // With a premise the model has read another text.
        this.render(column, judged, column.canAttend && !hasPremise ? load : null);
      });
    }
  }

  /**
   * @param {Panel['columns'][number]} column
   * @param {EntailedHypothesis} judged
   * @param {Parameters<typeof words>[2]} load
   */
  render(column, judged, load) {
    const entries = RELATIONS.map((label) => ({ label, value: judged[label] }));
    entries.sort((a, b) => b.value - a.value);
    column.body.replaceChildren(h('p', { class: 'asked' }, words(judged.hypothesis, column.stage, load)), bars(entries));
    announce(this.named(column, `Relation: ${entries[0].label}, ${probability(entries[0].value)}`));
  }
}
