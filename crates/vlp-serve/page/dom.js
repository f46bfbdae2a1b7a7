// @ts-check
// Small helpers for the document.

/**
 * The element with an id.
 *
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function byId(id, type) {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new Error(`the page has no ${type.name} #${id}`);
  return element;
}

/**
 * A new element. Properties are set as properties where the element has them, as attributes otherwise; `on…` functions are
 * listeners, `null` and `undefined` are left out, and so are children that are `null` or `false`. Text is never parsed as HTML.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} [properties]
 * @param {...(Node | string | null | false)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else if (name === 'class') element.className = value;
    else if (name in element && !name.includes('-')) /** @type {any} */ (element)[name] = value;
    else element.setAttribute(name, String(value));
  }
  for (const child of children) if (child !== null && child !== false) element.append(child);
  return element;
}

/**
 * Lets the arrow keys move among the items of a group, of which one is a tab stop.
 *
 * @param {HTMLElement} group
 * @param {HTMLElement[]} items
 */
export function roving(group, items) {
  items.forEach((item, i) => { item.tabIndex = i === 0 ? 0 : -1; });
  group.addEventListener('keydown', (event) => {
    const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    if (at < 0) return;
    const steps = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 };
    const next = items[/** @type {Record<string, number>} */ (steps)[event.key] ?? -1];
    if (!next) return;
    event.preventDefault();
    items[at].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
}

/** @param {string} text read out by screen readers, when they have time */
export function announce(text) {
  byId('announcer', HTMLElement).textContent = text;
}

/** @param {number} value a probability, as `0.87` */
export function probability(value) {
  return value > 0.995 && value < 1 ? '> 0.99' : value > 0 && value < 0.005 ? '< 0.01' : value.toFixed(2);
}

/**
 * @param {number} count
 * @param {string} one
 * @param {string} [many]
 */
export function plural(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}
