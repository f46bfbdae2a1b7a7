// @ts-check
// Colors for the codes of a visual dictionary: the same as in the pages of `vlp dictionary`.

/** Step of the lattice of sRGB values that the colors are taken from. */
const STEP = 9;

/** @type {Int32Array | undefined} three numbers of OKLab for each candidate, in 1/4096 with a and b doubled */
let labs;
/** @type {number[][]} */
let candidates = [];
/** @type {Int32Array} squared distance of each candidate to the nearest chosen color */
let distances = new Int32Array();
/** @type {string[]} */
const chosen = [];
let next = 0;

/**
 * The color of a code. Each color is the one farthest in OKLab from all before it, so the first colors differ most.
 *
 * @param {number} code
 * @returns {string}
 */
export function codeColor(code) {
  if (!labs) labs = lattice();
  while (chosen.length <= code && chosen.length < candidates.length) choose(labs);
  return chosen[code] ?? '#808080';
}

/** @param {Int32Array} labs */
function choose(labs) {
  chosen.push(`rgb(${candidates[next].join(' ')})`);
  const [l, a, b] = labs.subarray(next * 3, next * 3 + 3);
  let farthest = -1;
  for (let i = 0; i < candidates.length; i++) {
    const [dl, da, db] = [labs[i * 3] - l, labs[i * 3 + 1] - a, labs[i * 3 + 2] - b];
    const squared = dl * dl + da * da + db * db;
    if (squared < distances[i]) distances[i] = squared;
    if (distances[i] > farthest) [farthest, next] = [distances[i], i];
  }
}

function lattice() {
  const levels = Array.from({ length: Math.ceil(256 / STEP) }, (_, i) => i * STEP);
  const linear = levels.map((byte) => (byte / 255 <= 0.04045 ? byte / 255 / 12.92 : ((byte / 255 + 0.055) / 1.055) ** 2.4));
  /** @type {number[]} */
  const values = [];
  levels.forEach((r, i) => levels.forEach((g, j) => levels.forEach((b, k) => {
    const lab = oklab(linear[i], linear[j], linear[k]);
    // Visible on dark and on light images, and not gray.
    if (lab[0] < 0.45 || lab[0] > 0.88 || Math.hypot(lab[1], lab[2]) < 0.06) return;
    candidates.push([r, g, b]);
    values.push(...[lab[0], 2 * lab[1], 2 * lab[2]].map((v) => Math.sign(v) * Math.round(Math.abs(v) * 4096)));
  })));
  distances = new Int32Array(candidates.length).fill(0x7fffffff);
  return Int32Array.from(values);
}

/**
 * OKLab of linear sRGB (Ottosson 2020).
 *
 * @param {number} r
 * @param {number} g
 * @param {number} b
 */
function oklab(r, g, b) {
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}
