// @ts-check
// Limits of texts.

/**
 * A sentence on the first text that the server would refuse, or an empty string.
 *
 * @param {string[]} texts
 * @param {import('./types.js').Limits} limits
 */
export function tooLong(texts, { max_texts: maxTexts, max_text_bytes: maxBytes }) {
  if (texts.length > maxTexts) return `At most ${maxTexts} texts at once; there are ${texts.length}.`;
  const long = texts.find((text) => new TextEncoder().encode(text).length > maxBytes);
  return long === undefined ? '' : `“${long.slice(0, 24)}…” is longer than ${maxBytes} bytes.`;
}
