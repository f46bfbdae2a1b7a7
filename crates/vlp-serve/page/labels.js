// @ts-check
// Where the labels of boxes go: next to their box, inside the image, and on no other label if there is room.

/** @typedef {{left: number, top: number, width: number, height: number}} Rectangle */

/**
 * @param {Rectangle} a
 * @param {Rectangle} b
 */
function overlap(a, b) {
  const width = Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left);
  const height = Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top);
  return Math.max(width, 0) * Math.max(height, 0);
}

/**
 * Positions of labels, in the order of the boxes: above the box, inside its upper edge, below it, or inside its lower edge,
 * aligned left or right; the first that covers no label placed before, or the one that covers the least.
 *
 * @param {Rectangle[]} boxes
 * @param {{width: number, height: number}[]} sizes of the labels
 * @param {{width: number, height: number}} frame
 * @returns {{left: number, top: number}[]}
 */
export function placeLabels(boxes, sizes, frame) {
  /** @type {Rectangle[]} */
  const placed = [];
  boxes.forEach((box, i) => {
    const { width, height } = sizes[i];
    const tops = [box.top - height, box.top, box.top + box.height, box.top + box.height - height];
    const lefts = [box.left, box.left + box.width - width];
    let best = { left: 0, top: 0, width, height };
    let least = Infinity;
    for (const top of tops) {
      for (const left of lefts) {
        const candidate = {
          left: Math.max(0, Math.min(left, frame.width - width)),
          top: Math.max(0, Math.min(top, frame.height - height)),
          width,
          height,
        };
        // What was moved to stay in the image may cover its own box: that counts a little.
        const moved = Math.abs(candidate.top - top) + Math.abs(candidate.left - left);
        const cost = placed.reduce((sum, label) => sum + overlap(label, candidate), moved);
        if (cost < least) [best, least] = [candidate, cost];
      }
    }
    placed.push(best);
  });
  return placed;
}
