// @ts-check
// Choosing an image: a file, the clipboard, drag and drop, or an example.

import { ApiError, exampleUrl, examples as examplesOf } from './api.js';
import { connectionLost } from './connection.js';
import { announce, byId, h, roving } from './dom.js';
import { imageOfExample, imageOfFile } from './input_image.js';
import { Task } from './task.js';

/** @import { Example } from './types.js' */

export class Picker {
  /** @param {import('./app.js').App} app */
  constructor(app) {
    this.app = app;
    this.message = byId('picker-message', HTMLElement);
    this.file = byId('file', HTMLInputElement);
    this.examples = new Task(byId('examples', HTMLElement));
    this.loading = new AbortController();
    /** The model whose examples are shown. @type {string | null} */
    this.model = null;
    /** @type {HTMLElement[]} */
    this.buttons = [];
    this.file.addEventListener('change', () => {
      const [file] = this.file.files ?? [];
      if (file) this.take(file);
      this.file.value = '';
    });
    document.addEventListener('paste', (event) => {
      const file = [...(event.clipboardData?.files ?? [])].find(({ type }) => type.startsWith('image/'));
      if (file) this.take(file, 'The pasted image');
    });
    this.acceptDrops();
    app.addEventListener('runs', () => this.showExamples());
    app.addEventListener('image', () => this.markCurrent());
  }

  acceptDrops() {
    const holdsFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes('Files');
    const overlay = byId('drop', HTMLElement);
    document.addEventListener('dragover', (event) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      overlay.hidden = false;
    });
    document.addEventListener('dragleave', (event) => {
      if (event.relatedTarget === null) overlay.hidden = true;
    });
    document.addEventListener('drop', (event) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      overlay.hidden = true;
      const [file] = event.dataTransfer?.files ?? [];
      if (file) this.take(file);
    });
  }

  /**
   * @param {File} file
   * @param {string} [name]
   */
  take(file, name = file.name) {
    this.load(() => imageOfFile(file, name, this.app.limits));
  }

  /** @param {Example} example */
  takeExample(example) {
    const model = this.model ?? '';
    const button = this.buttons[this.app.examples.indexOf(example)];
    button?.setAttribute('aria-busy', 'true');
    const loaded = this.load((signal) => imageOfExample(model, example, signal));
    loaded.finally(() => button?.removeAttribute('aria-busy'));
  }

  /** @param {(signal: AbortSignal) => Promise<import('./input_image.js').InputImage>} read */
  async load(read) {
    this.loading.abort();
    this.loading = new AbortController();
    const { signal } = this.loading;
    this.message.textContent = '';
    try {
      const image = await read(signal);
      if (signal.aborted) return image.release();
      this.app.showImage(image);
      announce(`Image ${image.name}`);
    } catch (error) {
      if (signal.aborted) return;
      this.message.textContent = error instanceof Error ? error.message : String(error);
      if (error instanceof ApiError && error.code === 'unreachable') connectionLost();
    }
  }

  showExamples() {
    const [{ model }] = this.app.runs;
    byId('lead', HTMLElement).replaceChildren(...abilities(this.app.runs.map((run) => run.model)));
    if (model.name === this.model) return;
    this.model = model.name;
    this.app.examples = [];
    this.examples.clear();
    this.examples.run((signal) => examplesOf(model.name, signal), (examples) => {
      this.app.examples = examples;
      this.render(examples);
      this.app.dispatchEvent(new Event('examples'));
    });
  }

  /** @param {Example[]} examples */
  render(examples) {
    byId('examples-hint', HTMLElement).hidden = examples.length === 0;
    if (examples.length === 0) {
      this.examples.place.replaceChildren(h('p', { class: 'empty' }, 'This run has no examples: its data cannot be read here.'));
      return;
    }
    const buttons = examples.map((example) => {
      const image = h('img', { loading: 'lazy', alt: '', width: 64, height: 64, src: exampleUrl(this.model ?? '', example.index) });
      if (Math.max(example.width, example.height) <= 160) image.classList.add('pixelated');
      return h('button', {
        type: 'button', class: 'thumb', title: example.captions[0], 'aria-pressed': 'false',
        'aria-label': `Example ${example.name}`, onclick: () => this.takeExample(example),
      }, image);
    });
    const list = h('div', { class: 'thumbs', role: 'group', 'aria-label': 'Images that the model was not trained on' }, ...buttons);
    roving(list, buttons);
    this.buttons = buttons;
    this.examples.place.replaceChildren(list);
    this.markCurrent();
  }

  markCurrent() {
    const { image, examples } = this.app;
    const current = image?.origin?.model === this.model ? image?.origin?.example.index : null;
    this.buttons.forEach((button, i) => button.setAttribute('aria-pressed', String(examples[i]?.index === current)));
    byId('image-name', HTMLElement).textContent = image ? [image.name, `${image.width} × ${image.height}`, image.note].filter(Boolean).join(' · ') : '';
  }
}

const ABILITIES = /** @type {const} */ ([
  ['detect', 'detects objects'],
  ['caption', 'writes captions'],
  ['answer', 'answers questions'],
  ['match', 'matches texts'],
  ['statement', 'judges statements about two images'],
  ['entail', 'judges hypotheses'],
  ['search', 'searches in its index'],
  ['codes', 'shows the codes of its visual dictionary'],
]);

/**
 * What the runs can do, in words.
 *
 * @param {import('./types.js').Model[]} models
 */
function abilities(models) {
  return models.flatMap(({ name, heads }) => {
    const all = ABILITIES.filter(([head]) => heads.includes(head)).map(([, words]) => words);
    const text = new Intl.ListFormat('en').format(all) || 'has no head to try here';
    return [h('b', {}, name), ` ${text}. `];
  });
}
