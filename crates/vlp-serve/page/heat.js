// @ts-check
// Overlays on canvases: attention weights as heat, grid features as cells in the colors of their codes.

import { heatColor } from './colors.js';

/**
 * @typedef {object} Grid
 * @property {number} rows
 * @property {number} columns
 */

/** Longer side of the heat canvas in pixels; the browser enlarges it from there. */
const SIDE = 112;
/** Opacity at weight 0 and at the largest weight: the image is dimmed but visible everywhere. */
const OPACITY = [0.46, 0.74];

/**
 * Draws weights, divided by the largest one, interpolated between the centers of the cells.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {Grid & {weights: number[]}} map row-major weights, at least 0
 */
export function drawHeat(canvas, { rows, columns, weights }) {
  const scale = SIDE / Math.max(rows, columns);
  canvas.width = Math.max(1, Math.round(columns * scale));
  canvas.height = Math.max(1, Math.round(rows * scale));
  const most = Math.max(...weights, Number.MIN_VALUE);
  const context = canvas.getContext('2d');
  if (!context) return;
  const image = context.createImageData(canvas.width, canvas.height);
  const [xs, ys] = [interpolation(canvas.width, columns), interpolation(canvas.height, rows)];
  ys.forEach(([above, below, y], row) => xs.forEach(([left, right, x], column) => {
    const at = (/** @type {number} */ r, /** @type {number} */ c) => weights[r * columns + c];
    const upper = at(above, left) * (1 - x) + at(above, right) * x;
    const lower = at(below, left) * (1 - x) + at(below, right) * x;
    const weight = (upper * (1 - y) + lower * y) / most;
    const alpha = OPACITY[0] + (OPACITY[1] - OPACITY[0]) * weight;
    image.data.set([...heatColor(weight), alpha * 255], (row * canvas.width + column) * 4);
  }));
  context.putImageData(image, 0, 0);
}

/**
 * For each of `pixels` the cells before and after it, and how far it is from the first to the second.
 *
 * @param {number} pixels
 * @param {number} cells
 */
function interpolation(pixels, cells) {
  return Array.from({ length: pixels }, (_, pixel) => {
    const at = Math.min(Math.max(((pixel + 0.5) / pixels) * cells - 0.5, 0), cells - 1);
    const low = Math.floor(at);
    return [low, Math.min(low + 1, cells - 1), at - low];
  });
}

/** Longer side of the canvas of codes in pixels, where cells are not larger than 64. */
const CODES_SIDE = 1024;

/**
 * Draws the cells of a grid in the colors of their codes; or the cells of one code alone, and the others dark.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {Grid & {codes: number[]}} grid
 * @param {(code: number) => string} color
 * @param {number | null} highlighted
 */
export function drawCodes(canvas, { rows, columns, codes }, color, highlighted) {
  const side = Math.min(64, Math.max(4, Math.floor(CODES_SIDE / Math.max(rows, columns))));
  canvas.width = columns * side;
  canvas.height = rows * side;
  const context = canvas.getContext('2d');
  if (!context) return;
  codes.forEach((code, i) => {
    const [x, y] = [(i % columns) * side, Math.floor(i / columns) * side];
    if (code === highlighted) {
      context.lineWidth = Math.max(1, side / 16);
      const inset = context.lineWidth / 2;
      context.strokeStyle = color(code);
      context.strokeRect(x + inset, y + inset, side - 2 * inset, side - 2 * inset);
    } else {
      context.fillStyle = highlighted === null ? color(code) : 'rgb(12 13 15 / 78%)';
      context.globalAlpha = highlighted === null ? 0.55 : 1;
      context.fillRect(x, y, side, side);
    }
  });
}
