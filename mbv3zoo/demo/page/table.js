/** The table of what was found. */
import { classColour } from './colours.js';
import { makeRoving, setStop } from './roving.js';
import { percent } from './words.js';

export class FoundTable {
  /**
   * @param {HTMLTableElement} table With a head whose buttons have the keys by which rows are sorted.
   * @param {(index: number) => void} onHighlight Told which object the pointer or the focus is on, -1 for none.
   */
  constructor(table, onHighlight) {
    this.table = table;
    this.body = table.tBodies[0];
    this.found = [];
    this.key = 'score';
    this.descending = true;
    const indexOf = (event) => Number(event.target.closest('tr').dataset.index);
    this.body.addEventListener('pointerover', (event) => onHighlight(indexOf(event)));
    this.body.addEventListener('pointerleave', () => onHighlight(-1));
    this.body.addEventListener('focusin', (event) => onHighlight(indexOf(event)));
    this.body.addEventListener('focusout', () => onHighlight(-1));
    makeRoving(this.body, 'tr');
    table.tHead.addEventListener('click', ({ target }) => target.closest('button') && this.#sortBy(target.closest('button')));
  }

  /** @param {import('./nms.js').Found[]} found Best first. */
  show(found) {
    this.found = found;
    const focused = [...this.body.rows].indexOf(document.activeElement);
    const value = (one) => (['name', 'score'].includes(this.key) ? one[this.key] : one.box[this.key]);
    const compare = (a, b) => (typeof value(a) === 'string' ? value(a).localeCompare(value(b)) : value(a) - value(b));
    const order = found.map((_, index) => index).sort((a, b) => (this.descending ? -1 : 1) * compare(found[a], found[b]));
    this.body.replaceChildren(...order.map((index) => row(found[index], index)));
    this.table.hidden = !found.length;
    const next = this.body.rows[Math.min(focused, found.length - 1)];
    setStop(this.body, 'tr', next);
    if (next) next.focus({ preventScroll: true });
  }

  /** @param {number} index Of the object whose row stands out, -1 for none. */
  setHighlight(index) {
    for (const row of this.body.rows) row.classList.toggle('highlight', Number(row.dataset.index) === index);
  }

  #sortBy(button) {
    const key = button.dataset.key;
    // Names and sides begin with the least, scores with the best.
    this.descending = key === this.key ? !this.descending : key === 'score';
    this.key = key;
    for (const head of this.table.tHead.rows[0].cells) head.removeAttribute('aria-sort');
    button.parentElement.setAttribute('aria-sort', this.descending ? 'descending' : 'ascending');
    this.show(this.found);
  }
}

function row({ label, name, score, box, clear }, index) {
  const element = document.createElement('tr');
  element.dataset.index = index;
  const swatch = document.createElement('i');
  swatch.style.background = clear ? 'none' : classColour(label);
  const head = document.createElement('th');
  head.scope = 'row';
  const text = document.createElement('span');
  text.append(swatch, name);
  head.append(text);
  element.append(head);
  const values = box ? [score.toFixed(2), ...box.map((side) => side.toFixed(0))] : [percent(score)];
  for (const value of values) element.insertCell().textContent = value;
  return element;
}
