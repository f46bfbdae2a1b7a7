// @ts-check
// A statement about two images, and whether it is true.

import { ask, judge } from './api.js';
import { bars } from './bars.js';
import { announce, byId, h, probability } from './dom.js';
import { imageOfExample, imageOfFile } from './input_image.js';
import { Panel } from './panel.js';
import { tooLong } from './texts.js';
import { once, words } from './words.js';

/** @import { InputImage } from './input_image.js' */
/** @import { Attention } from './types.js' */

export class Statements extends Panel {
  /** @param {import('./app.js').App} app */
  constructor(app) {
    super(app, 'statement', 'This run judges no statements about two images.');
    this.input = byId('statement-text', HTMLInputElement);
    this.message = byId('statement-message', HTMLElement);
    this.swapButton = byId('swap', HTMLButtonElement);
    this.pairButton = byId('own-pair', HTMLButtonElement);
    /** The right image; the left one is that of the page. @type {InputImage | null} */
    this.right = null;
    /** Whether a person chose the right image, which otherwise is that of the left one's pair. */
    this.chosen = false;
    this.loading = new AbortController();
    /** The statement that was judged last; judged again of every new pair. */
    this.statement = '';
    this.swapButton.addEventListener('click', () => this.swap());
    this.pairButton.addEventListener('click', () => {
      this.chosen = false;
      this.followLeft();
    });
    const file = byId('right-file', HTMLInputElement);
    file.addEventListener('change', () => {
      const [chosen] = file.files ?? [];
      if (chosen) this.take(chosen);
      file.value = '';
    });
    byId('statement-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      const statement = this.input.value.trim();
      this.message.textContent = statement === '' ? 'Type a statement first.' : tooLong([statement], app.limits);
      if (this.message.textContent !== '') return this.input.focus();
      if (!this.right) this.message.textContent = 'Choose a second image first.';
      this.statement = statement;
      this.judge();
    });
  }

  refresh() {
    if (this.chosen) this.showPair();
    else this.followLeft();
    this.judge();
  }

  /** The example on the right of the page's image in its pair. */
  partner() {
    const origin = this.app.image?.origin;
    const isShown = origin?.model === this.app.runs[0]?.model.name;
    return isShown ? this.app.examples.find(({ index }) => index === origin.example.right) : undefined;
  }

  /** Takes the right image of the left one's pair, or none. */
  followLeft() {
    const model = this.app.image?.origin?.model ?? '';
    const partner = this.partner();
    this.setRight(null);
    if (partner && this.columns.length > 0) this.load((signal) => imageOfExample(model, partner, signal));
  }

  /** @param {File} file */
  take(file) {
    this.chosen = true;
    // A request has two images.
    const limits = { ...this.app.limits, max_body_bytes: this.app.limits.max_body_bytes / 2 };
    this.load(() => imageOfFile(file, file.name, limits));
  }

  /** @param {(signal: AbortSignal) => Promise<InputImage>} read */
  async load(read) {
    this.loading.abort();
    this.loading = new AbortController();
    const { signal } = this.loading;
    try {
      const image = await read(signal);
      if (signal.aborted) return image.release();
      this.message.textContent = '';
      this.setRight(image);
      this.judge();
    } catch (error) {
      if (!signal.aborted) this.message.textContent = error instanceof Error ? error.message : String(error);
    }
  }

  /** @param {InputImage | null} image */
  setRight(image) {
    this.loading.abort();
    this.right?.release();
    this.right = image;
    this.showPair();
  }

  swap() {
    const { right, app: { image } } = this;
    if (!right || !image) return;
    // The page releases the image that it shows no more.
    this.right = image.copy();
    this.chosen = true;
    this.app.showImage(right);
    announce(`Left: ${right.name}, right: ${image.name}`);
  }

  showPair() {
    const shown = (/** @type {InputImage | null} */ image) => {
      if (!image) return h('span', {}, 'Choose a second image');
      const element = h('img', { src: image.url, alt: image.name });
      if (Math.max(image.width, image.height) <= 160) element.classList.add('pixelated');
      return element;
    };
    const { image } = this.app;
    byId('left-slot', HTMLElement).replaceChildren(...(image ? [shown(image)] : []));
    byId('right-slot', HTMLElement).replaceChildren(shown(this.right));
    this.swapButton.disabled = !this.right;
    this.pairButton.hidden = !this.chosen || !this.partner();
  }

  judge() {
    const { right, statement, app: { image } } = this;
    if (!image || statement === '') return;
    for (const column of this.columns) {
      if (!right) {
        column.task.clear();
        continue;
      }
      const { name } = column.model;
      column.task.run((signal) => judge(name, [image, right], [statement], signal), ({ statements: [judged] }) => {
        const load = once(async () => {
          /** @type {Attention} */
          const attention = await ask('attention', name, image, { texts: [statement] });
          return { attention, text: attention.texts[0] };
        });
        this.render(column, judged, column.canAttend ? load : null);
      });
    }
  }

  /**
   * @param {Panel['columns'][number]} column
   * @param {{statement: string, probability: number}} judged
   * @param {Parameters<typeof words>[2]} load
   */
  render(column, { statement, probability: isTrue }, load) {
    const entries = [{ label: 'true', value: isTrue }, { label: 'false', value: 1 - isTrue }];
    entries.sort((a, b) => b.value - a.value);
    column.body.replaceChildren(h('p', { class: 'asked' }, words(statement, column.stage, load)), bars(entries));
    announce(this.named(column, `The statement is ${entries[0].label}, ${probability(entries[0].value)}`));
  }
}
