// @ts-check
// Requests to the server.

/** @import { Example, Limits, Model, Code } from './types.js' */

/** Why a request has no answer. */
export class ApiError extends Error {
  /**
   * @param {string} code that of the server, or `unreachable`
   * @param {string} message a sentence for people
   * @param {number} [retryAfter] seconds after which the server wants to be asked again
   */
  constructor(code, message, retryAfter) {
    super(message);
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** Seconds that a request may take; the server answers 504 before. */
let patience = 120;

/**
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<Response>}
 */
async function request(path, options = {}) {
  const signals = [AbortSignal.timeout(patience * 1000), ...(options.signal ? [options.signal] : [])];
  /** @type {Response} */
  let response;
  try {
    response = await fetch(path, { ...options, signal: AbortSignal.any(signals), cache: 'no-store' });
  } catch (error) {
    options.signal?.throwIfAborted();
    const late = error instanceof DOMException && error.name === 'TimeoutError';
    throw new ApiError('unreachable', late ? 'The server has not answered in time.' : 'The server does not answer.');
  }
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({ error: null }));
  const message = error?.message ?? `The server answered ${response.status} without a reason.`;
  const seconds = response.status === 429 ? Number(response.headers.get('retry-after') ?? 1) : undefined;
  throw new ApiError(error?.code ?? 'internal', message, seconds);
}

/**
 * @param {string} path
 * @param {AbortSignal} [signal]
 */
async function get(path, signal) {
  return (await request(path, { signal })).json();
}

/** @param {string} model */
const query = (model) => `?model=${encodeURIComponent(model)}`;

/** @returns {Promise<{models: Model[], limits: Limits}>} */
export async function models() {
  const answer = await get('/v1/models');
  patience = answer.limits.timeout_seconds + 10;
  return answer;
}

/**
 * @param {string} model
 * @param {AbortSignal} signal
 * @returns {Promise<Example[]>}
 */
export async function examples(model, signal) {
  return (await get(`/v1/examples${query(model)}`, signal)).examples;
}

/**
 * Address of an example's image.
 *
 * @param {string} model
 * @param {number} index
 */
export const exampleUrl = (model, index) => `/v1/examples/${index}${query(model)}`;

/**
 * @param {string} model
 * @param {number} code
 * @param {AbortSignal} signal
 * @returns {Promise<Code>}
 */
export const code = (model, code, signal) => get(`/v1/codes/${code}${query(model)}`, signal);

/**
 * The image of an example.
 *
 * @param {string} model
 * @param {number} index
 * @param {AbortSignal} signal
 */
export const exampleImage = async (model, index, signal) => (await request(exampleUrl(model, index), { signal })).blob();

/** Whether the server answers. */
export const health = () => get('/healthz', AbortSignal.timeout(3000));

/**
 * The result of one image.
 *
 * @param {'detect' | 'caption' | 'answer' | 'match' | 'entail' | 'attention' | 'codes' | 'search'} route
 * @param {string} model
 * @param {import('./input_image.js').InputImage} image
 * @param {Record<string, unknown>} parameters
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function ask(route, model, image, parameters, signal) {
  return post(route, { model, images: [await image.forModel(model)], ...parameters }, signal);
}

/**
 * The hits of a search.
 *
 * @param {string} model
 * @param {{texts: [string], top: number}} parameters
 * @param {AbortSignal} signal
 * @returns {Promise<import('./types.js').SearchHits>}
 */
export const search = (model, parameters, signal) => post('search', { model, ...parameters }, signal);

/**
 * Address of the thumbnail of an image of a model's index.
 *
 * @param {string} model
 * @param {number} image
 */
export const thumbnailUrl = (model, image) => `/v1/search/images/${image}${query(model)}`;

/**
 * Whether statements about two images are true.
 *
 * @param {string} model
 * @param {[import('./input_image.js').InputImage, import('./input_image.js').InputImage]} pair left and right
 * @param {string[]} statements
 * @param {AbortSignal} signal
 * @returns {Promise<{statements: import('./types.js').JudgedStatement[]}>}
 */
export async function judge(model, pair, statements, signal) {
  const [left, right] = await Promise.all(pair.map((image) => image.forModel(model)));
  return post('statement', { model, pairs: [{ left, right }], statements }, signal);
}

/**
 * The first result.
 *
 * @param {string} route
 * @param {object} body
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
async function post(route, body, signal) {
  const response = await request(`/v1/${route}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal,
  });
  return (await response.json()).results[0];
}
