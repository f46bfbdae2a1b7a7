// @ts-check
// Probabilities as bars.

import { h, probability } from './dom.js';

/**
 * @param {{label: string | Node, value: number}[]} entries
 * @returns {HTMLElement}
 */
export function bars(entries) {
  const items = entries.map(({ label, value }) => {
    const item = h('li', {}, h('span', { class: 'name' }, label), h('span', { class: 'number' }, probability(value)), h('i', { class: 'bar' }));
    item.style.setProperty('--value', String(Math.min(Math.max(value, 0), 1)));
    return item;
  });
  return h('ol', { class: 'bars' }, ...items);
}
