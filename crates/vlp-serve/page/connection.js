// @ts-check
// Whether the server answers.

import { health } from './api.js';
import { announce, byId } from './dom.js';

/** Milliseconds between two looks at a server that is gone. */
const INTERVAL = 2000;

/** Tells `online` when a server that was gone answers again. */
export const connection = new EventTarget();

let lost = false;

/** A request got no answer: says so and waits for the server. */
export function connectionLost() {
  if (lost) return;
  lost = true;
  const banner = byId('connection', HTMLElement);
  banner.hidden = false;
  announce('The server does not answer.');
  const look = async () => {
    try {
      await health();
    } catch {
      setTimeout(look, INTERVAL);
      return;
    }
    lost = false;
    banner.hidden = true;
    announce('The server answers again.');
    connection.dispatchEvent(new Event('online'));
  };
  setTimeout(look, INTERVAL);
}
