// @ts-check
// A question and its answers.

import { ask } from './api.js';
import { bars } from './bars.js';
import { announce, byId, h, probability } from './dom.js';
import { Panel } from './panel.js';
import { tooLong } from './texts.js';
import { once, words } from './words.js';

/** @import { AnsweredQuestion, Attention } from './types.js' */

/** Answers that are shown, and how many the models' lists are cut to. */
const TOP = 5;
const NAMED = 12;

export class Answers extends Panel {
  /** @param {import('./app.js').App} app */
  constructor(app) {
    super(app, 'answer', 'This run answers no questions.');
    this.input = byId('question', HTMLInputElement);
    this.message = byId('question-message', HTMLElement);
    /** The question that was asked last; asked again of every new image. */
    this.question = '';
    byId('answer-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      const question = this.input.value.trim();
      this.message.textContent = question === '' ? 'Type a question first.' : tooLong([question], app.limits);
      if (this.message.textContent !== '') return this.input.focus();
      this.question = question;
      this.refresh();
    });
  }

  prepare() {
    const choices = [...new Set(this.columns.flatMap(({ model }) => model.answers))];
    const rest = choices.length - NAMED;
    const names = choices.slice(0, rest > 0 ? NAMED : choices.length).join(', ');
    byId('answer-choices', HTMLElement).textContent = choices.length === 0 ? '' : `Chooses among ${names}${rest > 0 ? ` and ${rest} more` : ''}.`;
  }

  refresh() {
    const { image } = this.app;
    const { question } = this;
    if (!image || question === '') return;
    for (const column of this.columns) {
      const parameters = { questions: [question], top: TOP };
      column.task.run((signal) => ask('answer', column.model.name, image, parameters, signal), ({ questions }) => {
        const load = once(async () => {
          /** @type {Attention} */
          const attention = await ask('attention', column.model.name, image, { texts: [question] });
          return { attention, text: attention.texts[0] };
        });
        this.render(column, questions[0], column.canAttend ? load : null);
      });
    }
  }

  /**
   * @param {Panel['columns'][number]} column
   * @param {AnsweredQuestion} answered
   * @param {Parameters<typeof words>[2]} load
   */
  render(column, { question, answers }, load) {
    const entries = answers.map(({ answer, probability }) => ({ label: answer, value: probability }));
    column.body.replaceChildren(h('p', { class: 'asked' }, words(question, column.stage, load)), bars(entries));
    const [best] = answers;
    if (best) announce(this.named(column, `Answer: ${best.answer}, ${probability(best.probability)}`));
  }
}
