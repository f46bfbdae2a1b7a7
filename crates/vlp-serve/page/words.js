// @ts-check
// A text whose words show their attention.

import { h, roving } from './dom.js';
import { attends } from './stage.js';

/** @import { Attention, TextAttention } from './types.js' */

/** A word, or one of the characters that BERT's tokenizer takes for words of their own. */
const WORD = /[\p{P}!-/:-@[-`{-~]|\p{Script=Han}|[^\s\p{P}\p{Script=Han}!-/:-@[-`{-~]+/gu;

/**
 * The text with its words as buttons, one tab stop for all of them.
 *
 * @param {string} text
 * @param {import('./stage.js').Stage} stage
 * @param {(() => Promise<{attention: Attention, text: TextAttention}>) | null} load none if the run has no attention to show
 * @returns {HTMLElement}
 */
export function words(text, stage, load) {
  if (!load) return h('span', { class: 'words' }, text);
  const pieces = [...text.matchAll(WORD)];
  /** @type {HTMLElement[]} */
  const buttons = [];
  const group = h('span', { class: 'words', role: 'group', 'aria-label': text });
  let end = 0;
  pieces.forEach((piece, i) => {
    group.append(text.slice(end, piece.index));
    end = piece.index + piece[0].length;
    const button = h('button', { type: 'button', class: 'word' }, piece[0]);
    attends(button, stage, `“${piece[0]}”`, async () => {
      const { attention, text } = await load();
      const word = text.words[i];
      if (!word) throw new Error('the text is longer than the model reads.');
      return { rows: attention.rows, columns: attention.columns, weights: word.weights };
    });
    buttons.push(button);
    group.append(button);
  });
  group.append(text.slice(end));
  roving(group, buttons);
  return group;
}

/**
 * A function that asks once, when it is first called, and again only after a failure.
 *
 * @template T
 * @param {() => Promise<T>} request
 * @returns {() => Promise<T>}
 */
export function once(request) {
  /** @type {Promise<T> | null} */
  let answer = null;
  return () => {
    answer ??= request().catch((error) => {
      answer = null;
      throw error;
    });
    return answer;
  };
}
