// @ts-check
// Colors of classes, codes and weights: the same as in the reports that the command line draws.

/** White text on each of them has a contrast of at least 4.5:1. */
const CLASS_COLORS = [
  '#c13a46', '#b25201', '#946903', '#767700', '#2d8810', '#048568', '#038187', '#037ca5',
  '#2f6dd3', '#735acc', '#9b49ae', '#b53c7f', '#930123', '#7b3700', '#654702', '#505101',
  '#185d00', '#005b46', '#01585c', '#025571', '#0145a7', '#5031a1', '#731f85', '#8a085a',
];

/**
 * The color of a class name: the same in every image and run.
 *
 * @param {string} name
 */
export function classColor(name) {
  // 64-bit FNV-1a with a final mix.
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(name)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  hash = BigInt.asUintN(64, (hash ^ (hash >> 32n)) * 0x9e3779b97f4a7c15n);
  return CLASS_COLORS[Number((hash >> 24n) % BigInt(CLASS_COLORS.length))];
}

/** Matplotlib's Inferno (CC0) at equal steps: readable for any color vision. */
const INFERNO = [
  [0, 0, 4], [31, 12, 72], [85, 15, 109], [136, 34, 106], [186, 54, 85], [227, 89, 51], [249, 140, 10], [249, 201, 50],
  [252, 255, 164],
];

/**
 * Red, green and blue of a weight in 0..=1.
 *
 * @param {number} weight
 */
export function heatColor(weight) {
  const at = Math.min(Math.max(weight, 0), 1) * (INFERNO.length - 1);
  const low = Math.min(Math.floor(at), INFERNO.length - 2);
  return INFERNO[low].map((value, i) => value + (INFERNO[low + 1][i] - value) * (at - low));
}
