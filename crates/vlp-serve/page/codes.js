// @ts-check
// The visual dictionary: the codes of an image's cells, and what a code stands for.

import { ask, code as codeOf } from './api.js';
import { codeColor } from './code_colors.js';
import { announce, byId, h, plural, roving } from './dom.js';
import { Panel } from './panel.js';
import { Task } from './task.js';

/** @import { Code, CodeGrid } from './types.js' */

export class Codes extends Panel {
  /** @param {import('./app.js').App} app */
  constructor(app) {
    super(app, 'codes', 'This run has no visual dictionary.');
    this.toggle = byId('color-cells', HTMLInputElement);
    this.toggle.addEventListener('change', () => this.tint());
  }

  prepare() {
    // Where boxes are drawn, colored cells would hide them.
    this.toggle.checked = !this.columns.some(({ model }) => model.heads.includes('detect'));
  }

  tint() {
    for (const { answer, stage } of this.columns) stage.setCodes(this.toggle.checked ? answer : null);
  }

  refresh() {
    const { image } = this.app;
    if (!image) return;
    for (const column of this.columns) {
      column.answer = null;
      column.task.run((signal) => ask('codes', column.model.name, image, {}, signal), (grid) => {
        column.answer = grid;
        this.tint();
        this.render(column, grid);
      });
    }
  }

  /**
   * @param {Panel['columns'][number]} column
   * @param {CodeGrid} grid
   */
  render(column, grid) {
    const { model, stage } = column;
    /** @type {Map<number, number>} */
    const counts = new Map();
    for (const code of grid.codes) counts.set(code, (counts.get(code) ?? 0) + 1);
    const codes = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
    const details = new Task(h('div', { class: 'code' }));
    /** @type {Map<number, HTMLElement>} */
    const chips = new Map();
    /** @type {number | null} */
    let selected = null;
    /** @type {number | null} */
    let pointed = null;

    /** @param {number | null} code */
    const point = (code) => {
      if (code !== null && code === pointed) return;
      pointed = code;
      const shown = code ?? selected;
      if (shown === null) return this.unpoint(column);
      stage.setCodes(grid);
      stage.highlightCode(shown);
      const cells = `${counts.get(shown)} of ${plural(grid.codes.length, 'cell')}`;
      stage.legend.replaceChildren(h('span', {}, 'Code ', h('b', {}, String(shown)), `: ${cells}`));
    };
    /** @param {number} code */
    const select = (code) => {
      selected = selected === code ? null : code;
      for (const [other, chip] of chips) chip.setAttribute('aria-pressed', String(other === selected));
      point(null);
      if (selected === null) return details.clear();
      details.run((signal) => codeOf(model.name, code, signal), (answer) => {
        details.place.replaceChildren(...this.describe(answer));
        announce(`Code ${code}: ${plural(answer.patches.length, 'typical patch', 'typical patches')}`);
      });
    };
    for (const [code, count] of codes) {
      const swatch = h('i', { class: 'swatch' });
      swatch.style.background = codeColor(code);
      const chip = h('button', { type: 'button', class: 'chip', 'aria-pressed': 'false', 'aria-label': `Code ${code}, ${plural(count, 'cell')}` }, swatch, String(code), h('small', {}, String(count)));
      for (const type of ['pointermove', 'focus']) chip.addEventListener(type, () => point(code));
      for (const type of ['pointerleave', 'blur']) chip.addEventListener(type, () => point(null));
      chip.addEventListener('click', () => select(code));
      chips.set(code, chip);
    }
    const list = h('div', { class: 'chips', role: 'group', 'aria-label': 'Codes of this image' }, ...chips.values());
    roving(list, [...chips.values()]);
    stage.onCell = { point, select };
    const summary = `${codes.length} of ${plural(model.codes, 'code')} in ${plural(grid.codes.length, 'cell')}`;
    column.body.replaceChildren(h('p', { class: 'note' }, summary), list, details.place);
  }

  /** @param {Panel['columns'][number]} column */
  unpoint({ answer, stage }) {
    stage.setCodes(this.toggle.checked ? answer : null);
    stage.setLegend('');
  }

  /** @param {Code} code */
  describe({ code, uses, cells, words, patches }) {
    const share = cells > 0 ? `${((100 * uses) / cells).toFixed(1)} % of the cells of all examples` : '';
    const swatch = h('i', { class: 'swatch' });
    swatch.style.background = codeColor(code);
    const images = patches.map(({ png, example, row, column }) => h('img', {
      src: `data:image/png;base64,${png}`,
      alt: `Example ${example}, row ${row + 1}, column ${column + 1}`,
    }));
    return [
      h('h4', {}, swatch, h('b', {}, `Code ${code}`), h('span', {}, share)),
      images.length > 0 ? h('div', { class: 'patches' }, ...images) : h('p', { class: 'empty' }, 'No example has this code.'),
      ...(words.length > 0 ? [h('p', { class: 'note' }, 'Goes with ', h('b', {}, words.map(({ word }) => word).join(', ')))] : []),
    ];
  }
}
