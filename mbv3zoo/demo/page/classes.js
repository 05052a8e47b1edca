import { makeRoving, setStop } from './roving.js';

const SHOWN = 'label:not([hidden]) input';

/** The class filter: a checkbox per class, and a search. */
export class ClassFilter {
  /**
   * @param {HTMLFieldSetElement} element With `#search`, `#all`, `#none` and `#class-list`; `#classes-count` is before it.
   * @param {string[]} names Name of each class.
   * @param {() => void} onChange Told when other classes are chosen.
   */
  constructor(element, names, onChange) {
    this.element = element;
    this.onChange = onChange;
    this.list = element.querySelector('#class-list');
    this.search = element.querySelector('#search');
    this.list.replaceChildren(...names.map(line));
    this.lines = [...this.list.children];
    this.boxes = this.lines.map((one) => one.querySelector('input'));
    this.counts = this.lines.map((one) => one.querySelector('span'));
    this.folded = names.map((name) => name.toLowerCase());
    makeRoving(this.list, SHOWN);
    this.list.addEventListener('change', () => this.#changed());
    this.search.addEventListener('input', () => this.#filter());
    this.search.addEventListener('keydown', (event) => event.key === 'Escape' && ((this.search.value = ''), this.#filter()));
    element.querySelector('#all').addEventListener('click', () => this.#setAll(true));
    element.querySelector('#none').addEventListener('click', () => this.#setAll(false));
    element.querySelector('.bar').hidden = names.length < 2;
    element.disabled = false;
    setStop(this.list, SHOWN);
    this.#tell();
  }

  /** @returns {?number[]} Labels that are chosen; null where all are. */
  get chosen() {
    const labels = this.boxes.flatMap((box, label) => (box.checked ? [label] : []));
    return labels.length === this.boxes.length ? null : labels;
  }

  /** @param {Map<number, number | string>} counts How much there is of each class, which is shown beside its name. */
  setCounts(counts) {
    this.counts.forEach((element, label) => {
      const text = String(counts.get(label) ?? '');
      if (element.textContent !== text) element.textContent = text;
    });
  }

  /** All that the search shows. */
  #setAll(checked) {
    this.lines.forEach((one, label) => {
      if (!one.hidden) this.boxes[label].checked = checked;
    });
    this.#changed();
  }

  #filter() {
    const text = this.search.value.trim().toLowerCase();
    this.lines.forEach((one, label) => {
      one.hidden = !this.folded[label].includes(text);
    });
    setStop(this.list, SHOWN);
    this.#tell();
  }

  #changed() {
    this.#tell();
    this.onChange();
  }

  #tell() {
    const shown = this.boxes.filter((box) => box.checked).length;
    const matching = this.search.value.trim() ? `, ${this.lines.filter((one) => !one.hidden).length} match` : '';
    document.getElementById('classes-count').textContent = `(${shown} of ${this.boxes.length}${matching})`;
  }
}

function line(name) {
  const label = document.createElement('label');
  const box = document.createElement('input');
  box.type = 'checkbox';
  box.checked = true;
  label.className = 'check';
  label.append(box, name, document.createElement('span'));
  return label;
}
