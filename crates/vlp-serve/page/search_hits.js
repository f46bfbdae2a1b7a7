// @ts-check
// What the hits of a search say about themselves.

import { probability } from './dom.js';

/** @import { SearchHits } from './types.js' */

/**
 * The scores of a hit, as `match 0.97, similarity 0.41`.
 *
 * @param {{similarity: number, probability: number | null}} hit
 */
export function scores({ similarity, probability: match }) {
  const cosine = `similarity ${similarity.toFixed(2)}`;
  return match === null ? cosine : `match ${probability(match)}, ${cosine}`;
}

/**
 * How the hits came about.
 *
 * @param {SearchHits} hits
 * @param {string} what `image` or `text`
 */
export function provenance({ compared, reranked }, what) {
  const all = `Compared with ${compared.toLocaleString('en')} ${what}${compared === 1 ? '' : 's'}`;
  return reranked === 0 ? `${all}, ranked by similarity.` : `${all}; the ${reranked} most similar are ranked by match.`;
}
