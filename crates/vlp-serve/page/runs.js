// @ts-check
// The choice of one run, or of two to compare. The address keeps it.

import { byId, h } from './dom.js';

export class RunChoice {
  /** @param {import('./app.js').App} app */
  constructor(app) {
    this.app = app;
    this.first = byId('run', HTMLSelectElement);
    this.second = byId('compare', HTMLSelectElement);
    const names = app.models.map(({ name }) => name);
    this.first.replaceChildren(...names.map((name) => h('option', { value: name }, name)));
    const nothing = h('option', { value: '' }, 'Nothing');
    this.second.replaceChildren(nothing, ...names.map((name) => h('option', { value: name }, name)));
    byId('runs', HTMLElement).hidden = names.length < 2;
    const address = new URLSearchParams(location.hash.slice(1));
    const [first, second] = [address.get('run') ?? '', address.get('compare') ?? ''];
    this.first.value = names.includes(first) ? first : names[0];
    this.second.value = names.includes(second) ? second : '';
    for (const select of [this.first, this.second]) {
      select.addEventListener('change', () => {
        this.show();
        this.keep();
      });
    }
  }

  /** Puts the choice into the address. */
  keep() {
    const address = new URLSearchParams({ run: this.first.value });
    if (this.second.value !== '') address.set('compare', this.second.value);
    history.replaceState(null, '', `#${address}`);
  }

  show() {
    // A run next to itself shows nothing new.
    if (this.second.value === this.first.value) this.second.value = '';
    for (const option of this.second.options) option.disabled = option.value === this.first.value;
    const chosen = [this.first.value, this.second.value].filter((name) => name !== '');
    const models = chosen.map((name) => this.app.models.find((model) => model.name === name));
    this.app.showRuns(models.filter((model) => model !== undefined));
  }
}
