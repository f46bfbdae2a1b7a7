// @ts-check
// The image of one run with what is drawn over it.

import { classColor } from './colors.js';
import { codeColor } from './code_colors.js';
import { h, probability } from './dom.js';
import { drawCodes, drawHeat } from './heat.js';
import { placeLabels } from './labels.js';

/** @import { CodeGrid, Detection, DetectedObject, Model } from './types.js' */
/** @typedef {{rows: number, columns: number, weights: number[]}} HeatMap */

const SYSTEMS = { 'e2e-vlp': 'E2E-VLP', soho: 'SOHO' };

export class Stage {
  /** @param {Model} model */
  constructor(model) {
    this.hint = hint(model);
    this.image = h('img', { alt: '', class: 'input-image' });
    this.codes = h('canvas', { class: 'codes', hidden: true });
    this.heat = h('canvas', { class: 'heat', hidden: true });
    this.boxes = h('div', { class: 'boxes', 'aria-hidden': 'true' });
    this.frame = h('div', { class: 'frame' }, this.image, this.codes, this.heat, this.boxes);
    this.legend = h('p', { class: 'legend' });
    const facts = [SYSTEMS[model.system], `${model.step.toLocaleString('en')} ${model.step === 1 ? 'step' : 'steps'}`, model.device].join(' · ');
    const title = h('figcaption', {}, h('b', {}, model.name), ' ', h('span', {}, facts));
    this.element = h('figure', { class: 'stage' }, title, h('div', { class: 'mat' }, this.frame), this.legend);
    /** @type {{query: number, element: HTMLElement, label: HTMLElement, box: number[]}[]} */
    this.drawn = [];
    /** @type {CodeGrid | null} */
    this.grid = null;
    /** The element whose attention stays shown. @type {HTMLElement | null} */
    this.pinned = null;
    /** What happens to the code of a cell that is pointed at or clicked. @type {{point: (code: number | null) => void, select: (code: number) => void} | null} */
    this.onCell = null;
    this.codes.addEventListener('pointermove', (event) => this.onCell?.point(this.codeAt(event)));
    this.codes.addEventListener('pointerleave', () => this.onCell?.point(null));
    this.codes.addEventListener('click', (event) => this.onCell?.select(this.codeAt(event)));
    this.setLegend('');
    new ResizeObserver(() => this.placeLabels()).observe(this.frame);
  }

  /** @param {import('./input_image.js').InputImage} image */
  setImage(image) {
    this.image.src = image.url;
    this.image.alt = image.name;
    this.frame.style.setProperty('--ratio', String(image.width / image.height));
    this.frame.classList.toggle('pixelated', Math.max(image.width, image.height) <= 160);
    this.setObjects(null, 0);
    this.setCodes(null);
    this.release();
  }

  /** @param {boolean} busy whether a result is awaited */
  setBusy(busy) {
    this.element.classList.toggle('busy', busy);
  }

  /**
   * @param {Detection | null} detection
   * @param {number} threshold
   * @param {(object: DetectedObject) => HTMLElement | undefined} [row] the list's row of an object
   */
  setObjects(detection, threshold, row) {
    const shown = detection ? detection.objects.filter((object) => object.score >= threshold) : [];
    // Small boxes lie over large ones, so that each can be pointed at.
    const area = (/** @type {DetectedObject} */ { bbox: [x0, y0, x1, y1] }) => (x1 - x0) * (y1 - y0);
    const order = shown.toSorted((a, b) => area(b) - area(a));
    this.drawn = shown.map((object) => {
      const { width, height } = /** @type {Detection} */ (detection);
      const [x0, y0, x1, y1] = object.bbox.map((v, i) => Math.min(Math.max(v / (i % 2 ? height : width), 0), 1));
      const element = h('div', { class: 'box' });
      const label = h('div', { class: 'label' }, object.class, h('span', {}, probability(object.score)));
      for (const part of [element, label]) part.style.setProperty('--color', classColor(object.class));
      Object.assign(element.style, {
        left: `${x0 * 100}%`, top: `${y0 * 100}%`, width: `${(x1 - x0) * 100}%`, height: `${(y1 - y0) * 100}%`,
        zIndex: String(order.indexOf(object)),
      });
      for (const part of [element, label]) {
        for (const type of ['pointermove', 'pointerleave', 'click']) {
          part.addEventListener(type, (event) => {
            row?.(object)?.dispatchEvent(new PointerEvent(type, event));
          });
        }
      }
      return { query: object.query, element, label, box: [x0, y0, x1, y1] };
    });
    this.boxes.replaceChildren(...this.drawn.flatMap(({ element, label }) => [element, label]));
    this.placeLabels();
  }

  placeLabels() {
    const { clientWidth: width, clientHeight: height } = this.frame;
    const rectangles = this.drawn.map(({ box: [x0, y0, x1, y1] }) => ({
      left: x0 * width, top: y0 * height, width: (x1 - x0) * width, height: (y1 - y0) * height,
    }));
    const sizes = this.drawn.map(({ label }) => ({ width: label.offsetWidth, height: label.offsetHeight }));
    placeLabels(rectangles, sizes, { width, height }).forEach(({ left, top }, i) => {
      Object.assign(this.drawn[i].label.style, { left: `${left}px`, top: `${top}px` });
    });
  }

  /** @param {CodeGrid | null} grid the cells of a dictionary, or none */
  setCodes(grid) {
    this.grid = grid;
    this.codes.hidden = !grid;
    this.frame.classList.toggle('coded', Boolean(grid));
    if (grid) drawCodes(this.codes, grid, codeColor, null);
  }

  /** @param {number | null} code whose cells stand out */
  highlightCode(code) {
    if (this.grid) drawCodes(this.codes, this.grid, codeColor, code);
  }

  /** @param {MouseEvent} event over the cells */
  codeAt({ offsetX, offsetY }) {
    const { rows, columns, codes } = /** @type {CodeGrid} */ (this.grid);
    const at = (/** @type {number} */ offset, /** @type {number} */ size, /** @type {number} */ cells) => (
      Math.min(Math.max(Math.floor((offset / size) * cells), 0), cells - 1)
    );
    return codes[at(offsetY, this.codes.clientHeight, rows) * columns + at(offsetX, this.codes.clientWidth, columns)];
  }

  /**
   * Shows the attention of a word or an object.
   *
   * @param {HeatMap | null} map none while it is loading
   * @param {string} what
   * @param {number} [query] the object whose box stays visible
   */
  look(map, what, query) {
    this.frame.classList.add('looking');
    for (const box of this.drawn) {
      for (const part of [box.element, box.label]) part.classList.toggle('chosen', box.query === query);
    }
    this.heat.hidden = !map;
    if (map) drawHeat(this.heat, map);
    this.setLegend(what, map !== null);
  }

  lookAway() {
    this.frame.classList.remove('looking');
    this.heat.hidden = true;
    this.setLegend('');
  }

  /** Forgets the attention that stays shown. */
  release() {
    this.pinned?.setAttribute('aria-pressed', 'false');
    this.pinned = null;
    this.lookAway();
  }

  /**
   * @param {string} what is looking; nothing if empty
   * @param {boolean} [loaded]
   */
  setLegend(what, loaded = true) {
    const scale = h('span', { class: 'scale' }, 'least', h('i'), 'most');
    const text = what ? h('span', {}, loaded ? 'Attention of ' : 'Loading the attention of ', h('b', {}, what)) : h('span', { class: 'hint' }, this.hint);
    this.legend.replaceChildren(text, what && loaded ? scale : '');
  }
}

/** @param {Model} model */
function hint({ heads }) {
  const things = [heads.includes('detect') && 'a box', heads.some((head) => ['caption', 'answer', 'match', 'statement', 'entail'].includes(head)) && 'a word'];
  const named = things.filter(Boolean).join(' or ');
  const hints = [
    heads.includes('attention') && named !== '' && `at ${named} to see its attention`,
    heads.includes('codes') && 'at a code to see its cells',
  ].filter(Boolean);
  return hints.length > 0 ? `Point ${hints.join(', ')}.` : '';
}

/**
 * Shows the attention of a word or an object while its element is pointed at or has the focus, and until it is released after a click.
 *
 * @param {HTMLElement} element
 * @param {Stage} stage
 * @param {string} what
 * @param {() => Promise<HeatMap>} load
 * @param {number} [query]
 */
export function attends(element, stage, what, load, query) {
  element.setAttribute('aria-pressed', 'false');
  let inside = false;
  const show = async () => {
    inside = true;
    let loaded = false;
    // What is loaded already is shown without a flicker.
    setTimeout(() => { if (inside && !loaded) stage.look(null, what, query); }, 60);
    try {
      const map = await load();
      loaded = true;
      if (inside) stage.look(map, what, query);
    } catch (error) {
      loaded = true;
      if (inside && error instanceof Error && error.name !== 'AbortError') {
        stage.lookAway();
        stage.legend.textContent = `No attention: ${error.message}`;
      }
    }
  };
  const hide = () => {
    if (!inside || stage.pinned === element) return;
    inside = false;
    if (stage.pinned) stage.pinned.dispatchEvent(new Event('show'));
    else stage.lookAway();
  };
  element.addEventListener('show', show);
  // Not when it enters: the page may have moved below a pointer at rest.
  element.addEventListener('pointermove', () => { if (!inside) show(); });
  element.addEventListener('focus', show);
  element.addEventListener('pointerleave', () => { if (document.activeElement !== element) hide(); });
  element.addEventListener('blur', hide);
  element.addEventListener('click', () => {
    const wasPinned = stage.pinned === element;
    stage.release();
    inside = false;
    if (wasPinned) return;
    stage.pinned = element;
    element.setAttribute('aria-pressed', 'true');
    show();
  });
}
