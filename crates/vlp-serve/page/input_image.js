// @ts-check
// The image that the models are shown.

import { exampleImage } from './api.js';

/** @import { Example, Limits } from './types.js' */

/** File types that the server reads; others are converted. */
const SENT_AS_IS = ['image/jpeg', 'image/png', 'image/webp'];

/** An image, of a file or among a model's examples. */
export class InputImage {
  /**
   * @param {Blob} blob what is sent
   * @param {{name: string, width: number, height: number, note?: string}} facts
   * @param {{model: string, example: Example}} [origin]
   */
  constructor(blob, facts, origin) {
    this.blob = blob;
    this.name = facts.name;
    this.width = facts.width;
    this.height = facts.height;
    /** What was changed, for people. */
    this.note = facts.note ?? '';
    this.origin = origin;
    this.url = URL.createObjectURL(blob);
    /** @type {Promise<string> | undefined} */
    this.encoded = undefined;
  }

  /**
   * The image as the server takes it.
   *
   * @param {string} model
   */
  async forModel(model) {
    // The same number is another image in the data of another model.
    if (this.origin?.model === model) return { example: this.origin.example.index };
    this.encoded ??= base64(this.blob);
    return { base64: await this.encoded };
  }

  /** The same image with an address of its own. */
  copy() {
    return new InputImage(this.blob, this, this.origin);
  }

  release() {
    URL.revokeObjectURL(this.url);
  }
}

/**
 * An image of the person's own. Formats that the server does not read are converted, and sizes that it refuses reduced.
 *
 * @param {Blob} file
 * @param {string} name
 * @param {Limits} limits
 */
export async function imageOfFile(file, name, limits) {
  /** @type {ImageBitmap} */
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error(`${name} is not an image that this browser can read. JPEG, PNG and WebP always work.`);
  }
  const { width, height } = bitmap;
  // Base64 takes 4 bytes for 3; the texts of a request need room too.
  const maxBytes = (limits.max_body_bytes * 3) / 4 - 65536;
  const scale = Math.min(
    1,
    limits.max_side / Math.max(width, height),
    Math.sqrt(limits.max_pixels / (width * height)),
  );
  if (scale === 1 && file.size <= maxBytes && SENT_AS_IS.includes(file.type)) {
    return new InputImage(file, { name, width, height });
  }
  const type = file.type === 'image/jpeg' || file.size > maxBytes ? 'image/jpeg' : 'image/png';
  let size = { width: Math.max(1, Math.floor(width * scale)), height: Math.max(1, Math.floor(height * scale)) };
  let blob = await redraw(bitmap, size, type);
  while (blob.size > maxBytes && size.width > 1) {
    size = { width: Math.ceil(size.width / 2), height: Math.max(1, Math.round(size.height / 2)) };
    blob = await redraw(bitmap, size, 'image/jpeg');
  }
  const reduced = size.width < width || size.height < height;
  const note = reduced ? `reduced from ${width} × ${height}, as the server takes no more` : '';
  return new InputImage(blob, { name, ...size, note });
}

/**
 * @param {string} model
 * @param {Example} example
 * @param {AbortSignal} signal
 */
export async function imageOfExample(model, example, signal) {
  return new InputImage(await exampleImage(model, example.index, signal), example, { model, example });
}

/**
 * @param {ImageBitmap} bitmap
 * @param {{width: number, height: number}} size
 * @param {string} type
 * @returns {Promise<Blob>}
 */
async function redraw(bitmap, { width, height }, type) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  if (!context) throw new Error('This browser cannot draw images.');
  context.imageSmoothingQuality = 'high';
  if (type === 'image/jpeg') {
    // JPEG has no transparency.
    context.fillStyle = '#fff';
    context.fillRect(0, 0, width, height);
  }
  context.drawImage(bitmap, 0, 0, width, height);
  return canvas.convertToBlob({ type, quality: 0.92 });
}

/**
 * @param {Blob} blob
 * @returns {Promise<string>}
 */
function base64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).replace(/^[^,]*,/, ''));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
