// @ts-check
// `vlp serve` on trained runs, and direct requests to it: what the page shows is compared with its answers.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '../../../..');
const program = process.env.VLP_BIN ?? path.join(root, 'target/debug/vlp');
const folder = process.env.VLP_BROWSER_RUNS ?? path.join(root, 'target/browser/runs');

/**
 * Runs of the preset e2e-vlp-tiny with a contrastive head and an index, of its fine-tuning for questions, for statements and for
 * hypotheses, of soho-tiny, and of e2e-vlp-tiny on boxes of two label spaces.
 */
export const NAMES = ['e2e', 'vqa', 'nlvr2', 'entail', 'soho', 'both'];

/**
 * Starts the program on all runs.
 *
 * @param {number} [port] any free one if 0
 */
export async function startServer(port = 0) {
  const runs = NAMES.map((name) => path.join(folder, name));
  const index = path.join(folder, 'index');
  const missing = [program, ...runs, index].find((file) => !existsSync(file));
  if (missing) throw new Error(`${missing} does not exist: .ci/browser makes it`);
  const child = spawn(program, ['serve', ...runs, '--index', index, '--port', String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
  /** @type {Promise<void>} */
  const ended = new Promise((resolve) => { child.once('exit', () => resolve()); });
  /** @type {string} */
  const url = await new Promise((resolve, reject) => {
    let output = '';
    child.stdout.on('data', (data) => {
      output += data;
      const address = /http:\/\/[\d.]+:\d+/.exec(output);
      if (address) resolve(address[0]);
    });
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${program} serve ended with ${code}: ${output}`)));
  });
  return {
    url,
    port: Number(new URL(url).port),
    /** Ends it and waits for its end. */
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
    /**
     * The result of one image.
     *
     * @param {string} route
     * @param {string} model
     * @param {number | {base64: string}} image the number of an example, or a file
     * @param {object} parameters
     * @returns {Promise<any>}
     */
    async ask(route, model, image, parameters = {}) {
      const images = [typeof image === 'number' ? { example: image } : image];
      const body = JSON.stringify({ model, images, ...parameters });
      const response = await fetch(`${url}/v1/${route}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
      const answer = /** @type {any} */ (await response.json());
      if (!response.ok) throw new Error(JSON.stringify(answer));
      return answer.results[0];
    },
    /**
     * The hits of a text.
     *
     * @param {string} text
     * @param {object} parameters
     * @returns {Promise<any>}
     */
    async search(text, parameters = {}) {
      const body = JSON.stringify({ texts: [text], ...parameters });
      const response = await fetch(`${url}/v1/search`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
      return /** @type {any} */ (await response.json()).results[0];
    },
    /** @param {string} route @returns {Promise<any>} */
    async get(route) {
      return (await fetch(`${url}/v1/${route}`)).json();
    },
  };
}
