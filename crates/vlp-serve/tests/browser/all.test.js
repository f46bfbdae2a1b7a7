// @ts-check
// All tests in one process: they share a server and a browser.

import './access.js';
import './answer.js';
import './attention.js';
import './caption.js';
import './codes.js';
import './compare.js';
import './match.js';
import './objects.js';
import './search.js';
import './image.js';
import './states.js';
import './tasks.js';
