// @ts-check
// One result on the page: waiting for it, waiting out a full queue, errors.

import { ApiError } from './api.js';
import { connection, connectionLost } from './connection.js';
import { announce, h } from './dom.js';

/** Requests answered with 429 before the person is asked. */
const MAX_TRIES = 6;

/** A place for a result. A new request in it ends the one before. */
export class Task {
  /** @param {HTMLElement} place */
  constructor(place) {
    this.place = place;
    this.controller = new AbortController();
  }

  /** Ends the request and empties the place. */
  clear() {
    this.controller.abort();
    this.place.removeAttribute('aria-busy');
    this.place.replaceChildren();
  }

  /**
   * @template T
   * @param {(signal: AbortSignal) => Promise<T>} request
   * @param {(answer: T) => void} show fills the place
   * @returns {Promise<void>} when the result or an error is shown
   */
  async run(request, show) {
    this.controller.abort();
    this.controller = new AbortController();
    const { signal } = this.controller;
    this.place.setAttribute('aria-busy', 'true');
    if (this.place.childElementCount === 0 || this.place.querySelector('.notice')) {
      this.place.replaceChildren(h('div', { class: 'skeleton' }, h('i'), h('i')));
    }
    try {
      const answer = await this.patiently(request, signal);
      this.place.replaceChildren();
      show(answer);
    } catch (error) {
      if (signal.aborted) return;
      this.fail(error, () => this.run(request, show));
    } finally {
      if (!signal.aborted) this.place.removeAttribute('aria-busy');
    }
  }

  /**
   * @template T
   * @param {(signal: AbortSignal) => Promise<T>} request
   * @param {AbortSignal} signal
   */
  async patiently(request, signal) {
    for (let tries = 1; ; tries++) {
      try {
        return await request(signal);
      } catch (error) {
        const isFull = error instanceof ApiError && error.code === 'queue_full';
        if (!isFull || tries === MAX_TRIES) throw error;
        await this.countDown(Math.max(1, error.retryAfter ?? 1), signal);
        signal.throwIfAborted();
      }
    }
  }

  /**
   * @param {number} seconds
   * @param {AbortSignal} signal
   * @returns {Promise<void>}
   */
  countDown(seconds, signal) {
    announce(`The server is busy. The request is sent again in ${seconds} seconds.`);
    return new Promise((resolve) => {
      const text = h('span');
      let left = seconds;
      const tick = () => { text.textContent = `The server is busy. Trying again in ${left} s.`; };
      const timer = setInterval(() => {
        left -= 1;
        if (left > 0) tick();
        else finish();
      }, 1000);
      const finish = () => {
        clearInterval(timer);
        resolve();
      };
      const now = h('button', { type: 'button', class: 'quiet', onclick: finish }, 'Try now');
      signal.addEventListener('abort', finish, { once: true });
      tick();
      this.place.replaceChildren(h('div', { class: 'notice wait' }, text, now));
    });
  }

  /**
   * @param {unknown} error
   * @param {() => void} retry
   */
  fail(error, retry) {
    const message = error instanceof Error ? error.message : String(error);
    const code = error instanceof ApiError ? error.code : '';
    if (code === 'unreachable') {
      connectionLost();
      connection.addEventListener('online', retry, { once: true, signal: this.controller.signal });
    }
    const button = h('button', { type: 'button', class: 'quiet', onclick: retry }, 'Try again');
    this.place.replaceChildren(h('div', { class: 'notice error', role: 'alert' }, h('span', {}, message), button));
  }
}
