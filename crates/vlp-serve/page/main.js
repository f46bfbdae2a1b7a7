// @ts-check
// Starts the page.

import { ApiError, models } from './api.js';
import { App } from './app.js';
import { Answers } from './answer.js';
import { Captions } from './caption.js';
import { Codes } from './codes.js';
import { connection, connectionLost } from './connection.js';
import { byId } from './dom.js';
import { Entailments } from './entail.js';
import { ImageSearch } from './image_search.js';
import { Matches } from './match.js';
import { Objects } from './objects.js';
import { Picker } from './picker.js';
import { RunChoice } from './runs.js';
import { Statements } from './statement.js';
import { TextSearch } from './text_search.js';

async function start() {
  const status = byId('status', HTMLElement);
  try {
    const { models: all, limits } = await models();
    const app = new App(all, limits);
    for (const Part of [Picker, Objects, Captions, Answers, Matches, Statements, Entailments, TextSearch, Codes, ImageSearch]) new Part(app);
    new RunChoice(app).show();
    document.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') for (const { stage } of app.runs) stage.release();
    });
    leaveRoomForStages();
    document.body.classList.add('ready');
    status.hidden = true;
  } catch (error) {
    status.classList.add('failed');
    byId('status-text', HTMLElement).textContent = error instanceof Error ? error.message : String(error);
    if (!(error instanceof ApiError)) throw error;
    if (error.code !== 'unreachable') return;
    byId('status-help', HTMLElement).hidden = false;
    connectionLost();
    connection.addEventListener('online', start, { once: true });
  }
}

/** Where the images stay on top, what gets the focus is scrolled to below them. */
function leaveRoomForStages() {
  const stages = byId('stage-column', HTMLElement);
  new ResizeObserver(() => {
    const { position, top } = getComputedStyle(stages);
    const isAbove = position === 'sticky' && top === '0px';
    document.documentElement.style.scrollPaddingTop = isAbove ? `${stages.offsetHeight + 8}px` : '';
  }).observe(stages);
}

start();
