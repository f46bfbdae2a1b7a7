// @ts-check
// A part of the page for one head: a column of results for each run.

import { byId, h } from './dom.js';
import { Task } from './task.js';

/** @import { App, Run } from './app.js' */
/** @import { Attention, Head } from './types.js' */

/** The results of one run. */
class Column {
  /**
   * @param {Run} run
   * @param {boolean} able whether the run has the head
   */
  constructor(run, able) {
    this.model = run.model;
    this.stage = run.stage;
    this.able = able;
    this.body = h('div', { class: 'result' });
    this.task = new Task(this.body);
    /** What the server answered last. @type {any} */
    this.answer = null;
    /** Loads the attention of the words or objects of the answer. @type {() => Promise<Attention>} */
    this.attention = () => Promise.reject(new Error('there is no answer yet.'));
  }

  /** Whether the run can show the attention of words and objects. */
  get canAttend() {
    return this.model.heads.includes('attention');
  }
}

/** A panel is hidden while there is no image, or no run that has its head. */
export class Panel {
  /**
   * @param {App} app
   * @param {Head} head
   * @param {string} lack what a run without the head says next to one that has it
   * @param {string} [id] of the section
   */
  constructor(app, head, lack, id = head) {
    this.app = app;
    this.head = head;
    this.section = byId(id, HTMLElement);
    this.results = h('div', { class: 'results' });
    this.section.append(this.results);
    /** @type {Column[]} those of runs that have the head */
    this.columns = [];
    app.addEventListener('runs', () => this.build(lack));
    app.addEventListener('image', () => this.refresh());
  }

  /** @param {string} lack */
  build(lack) {
    for (const column of this.columns) column.task.clear();
    const all = this.app.runs.map((run) => new Column(run, run.model.heads.includes(this.head)));
    this.columns = all.filter((column) => column.able);
    this.section.hidden = this.columns.length === 0;
    const headed = all.length > 1;
    this.results.replaceChildren(...all.map(({ model, able, body }) => h(
      'div',
      { class: 'column' },
      headed && h('h3', {}, model.name),
      able ? body : h('p', { class: 'empty' }, lack),
    )));
    this.prepare();
    this.refresh();
  }

  /**
   * A text to announce: after the name of its run, where there are more.
   * @param {Column} column
   * @param {string} text
   */
  named({ model }, text) {
    return this.columns.length > 1 ? `${model.name}: ${text}` : text;
  }

  /** Adapts controls to the runs. */
  prepare() {}

  /** Asks for the results of the present image. */
  refresh() {}
}
