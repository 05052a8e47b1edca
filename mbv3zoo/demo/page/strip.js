/**
 * The strip of pictures: one button each.
 *
 * @typedef {object} Picture
 * @property {string} name Of the file.
 * @property {File} file
 * @property {?import('./detector.js').Detected} detected
 * @property {?string} error Why nothing could be found in it.
 */
import { makeRoving, setStop } from './roving.js';

export class Strip {
  /**
   * @param {HTMLUListElement} list
   * @param {(picture: Picture) => void} onSelect
   * @param {(picture: Picture) => void} onRemove Told when the Delete key removed one.
   */
  constructor(list, onSelect, onRemove) {
    this.list = list;
    this.onSelect = onSelect;
    /** @type {Picture[]} */
    this.pictures = [];
    this.buttons = new Map();
    makeRoving(list, 'button');
    list.addEventListener('keydown', (event) => {
      const picture = this.pictures.find((one) => this.buttons.get(one) === event.target);
      if (picture && ['Delete', 'Backspace'].includes(event.key)) {
        const at = this.pictures.indexOf(picture);
        this.remove(picture);
        onRemove(picture);
        this.buttons.get(this.pictures[Math.min(at, this.pictures.length - 1)])?.focus();
      }
    });
  }

  /** @param {File} file @returns {Picture} */
  add(file) {
    const picture = { name: file.name || 'pasted.png', file, detected: null, error: null };
    const image = document.createElement('img');
    image.alt = '';
    image.decoding = 'async';
    image.src = URL.createObjectURL(file);
    image.addEventListener('error', () => image.replaceWith('?'));
    const button = document.createElement('button');
    button.type = 'button';
    button.append(image);
    button.addEventListener('click', () => this.onSelect(picture));
    const item = document.createElement('li');
    item.append(button);
    this.list.append(item);
    this.pictures.push(picture);
    this.buttons.set(picture, button);
    this.tell(picture, 'waiting');
    this.list.hidden = this.pictures.length < 2;
    return picture;
  }

  /** @param {Picture} picture @param {string} state Said after its name. */
  tell(picture, state) {
    const button = this.buttons.get(picture);
    if (!button) return;
    button.setAttribute('aria-label', `${picture.name}, ${state}`);
    button.title = picture.name;
    button.classList.toggle('failed', picture.error !== null);
    button.classList.toggle('waiting', !picture.error && !picture.detected);
  }

  /** @param {?Picture} picture The one that is shown. */
  mark(picture) {
    for (const [one, button] of this.buttons) {
      if (one === picture) button.setAttribute('aria-current', 'true');
      else button.removeAttribute('aria-current');
    }
    const button = this.buttons.get(picture);
    setStop(this.list, 'button', button);
    button?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }

  /** @param {Picture} picture */
  remove(picture) {
    const button = this.buttons.get(picture);
    const image = button.querySelector('img');
    if (image) URL.revokeObjectURL(image.src);
    button.parentElement.remove();
    this.buttons.delete(picture);
    this.pictures.splice(this.pictures.indexOf(picture), 1);
    this.list.hidden = this.pictures.length < 2;
  }

  clear() {
    while (this.pictures.length) this.remove(this.pictures[0]);
  }
}
