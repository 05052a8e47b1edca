/**
 * Makes a list one stop of the Tab key: arrow keys, Home and End move inside it.
 *
 * @param {HTMLElement} list
 * @param {string} selector Of its parts that take the focus.
 */
export function makeRoving(list, selector) {
  list.addEventListener('keydown', (event) => {
    const parts = [...list.querySelectorAll(selector)];
    const at = parts.indexOf(event.target.closest(selector));
    const steps = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: parts.length - 1 };
    const next = parts[steps[event.key]];
    if (at < 0 || !next || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    next.focus();
  });
  list.addEventListener('focusin', (event) => setStop(list, selector, event.target.closest(selector)));
}

/**
 * @param {HTMLElement} list
 * @param {string} selector
 * @param {?HTMLElement} part The one that Tab reaches; the first where it is null.
 */
export function setStop(list, selector, part = null) {
  const parts = [...list.querySelectorAll(selector)];
  for (const other of parts) other.tabIndex = -1;
  const stop = part ?? parts[0];
  if (stop) stop.tabIndex = 0;
}
