// @ts-check
// What is shown: the runs, side by side if there are two, and the image.

import { byId } from './dom.js';
import { Stage } from './stage.js';

/** @import { Example, Limits, Model } from './types.js' */
/** @import { InputImage } from './input_image.js' */
/** @typedef {{model: Model, stage: Stage}} Run */

/** Tells `runs` when other runs are shown, `examples` when theirs are there, and `image` when there is another image. */
export class App extends EventTarget {
  /**
   * @param {Model[]} models
   * @param {Limits} limits
   */
  constructor(models, limits) {
    super();
    this.models = models;
    this.limits = limits;
    /** @type {Run[]} */
    this.runs = [];
    /** @type {InputImage | null} */
    this.image = null;
    /** Those of the first run. @type {Example[]} */
    this.examples = [];
  }

  /** @param {Model[]} models one, or two to compare */
  showRuns(models) {
    this.runs = models.map((model) => ({ model, stage: new Stage(model) }));
    byId('stages', HTMLElement).replaceChildren(...this.runs.map(({ stage }) => stage.element));
    byId('workspace', HTMLElement).classList.toggle('comparing', models.length > 1);
    if (this.image) for (const { stage } of this.runs) stage.setImage(this.image);
    this.dispatchEvent(new Event('runs'));
  }

  /** @param {InputImage} image */
  showImage(image) {
    this.image?.release();
    this.image = image;
    document.body.classList.add('has-image');
    for (const { stage } of this.runs) stage.setImage(image);
    this.dispatchEvent(new Event('image'));
  }
}
