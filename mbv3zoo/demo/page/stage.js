/** The picture on the page, with boxes over it. */
import { drawBoxes } from './draw.js';

/** Most of the window's height that a picture takes, and its least height, in CSS pixels. */
const MOST_HEIGHT = 0.6;
const LEAST_HEIGHT = 220;

export class Stage {
  /**
   * @param {HTMLElement} element Holds two canvases, `#picture` and over it `#boxes`.
   * @param {(index: number) => void} onPoint Told which object the pointer is on, -1 for none.
   */
  constructor(element, onPoint) {
    this.element = element;
    this.picture = element.querySelector('#picture');
    this.boxes = element.querySelector('#boxes');
    this.found = [];
    this.highlight = -1;
    this.mirrored = false;
    this.bitmap = null;
    new ResizeObserver(() => this.layOut()).observe(element.parentElement);
    addEventListener('resize', () => this.layOut());
    this.boxes.addEventListener('pointermove', (event) => onPoint(this.#objectAt(event)));
    this.boxes.addEventListener('pointerdown', (event) => onPoint(this.#objectAt(event)));
    this.boxes.addEventListener('pointerleave', (event) => event.pointerType === 'mouse' && onPoint(-1));
  }

  /**
   * @param {?ImageBitmap} bitmap What is shown; null shows nothing.
   * @param {object} [options]
   * @param {boolean} [options.mirrored] Whether left and right are exchanged.
   */
  show(bitmap, { mirrored = false } = {}) {
    this.bitmap = bitmap;
    this.mirrored = mirrored;
    this.layOut();
  }

  /**
   * @param {import('./nms.js').Found[]} found
   * @param {string} label What the picture shows, for screen readers.
   */
  setBoxes(found, label) {
    this.found = found;
    this.highlight = -1;
    this.boxes.setAttribute('aria-label', label);
    this.#drawBoxes();
  }

  /** @param {number} index Of the object that stands out, -1 for none. */
  setHighlight(index) {
    if (index === this.highlight) return;
    this.highlight = index;
    this.#drawBoxes();
  }

  /** Fits the picture into the space that there is, and draws everything. */
  layOut() {
    this.element.classList.toggle('filled', this.bitmap !== null);
    if (!this.bitmap) {
      this.element.style.height = '';
      return;
    }
    const width = this.element.clientWidth;
    const most = Math.max(LEAST_HEIGHT, Math.min(MOST_HEIGHT * innerHeight, this.bitmap.height * (width / this.bitmap.width)));
    const height = Math.round(most);
    this.element.style.height = `${height}px`;
    const zoom = Math.min(width / this.bitmap.width, height / this.bitmap.height);
    const ratio = devicePixelRatio || 1;
    for (const canvas of [this.picture, this.boxes]) {
      const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
      if (canvas.width !== wide || canvas.height !== high) [canvas.width, canvas.height] = [wide, high];
    }
    this.scale = zoom * ratio;
    this.left = Math.round((this.boxes.width - this.bitmap.width * this.scale) / 2);
    this.top = Math.round((this.boxes.height - this.bitmap.height * this.scale) / 2);
    this.#drawPicture();
    this.#drawBoxes();
  }

  #drawPicture() {
    const context = this.picture.getContext('2d');
    const { width, height } = this.bitmap;
    const [wide, high] = [Math.max(1, width * this.scale), Math.max(1, height * this.scale)];
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.picture.width, this.picture.height);
    context.imageSmoothingQuality = 'high';
    // Where a picture is transparent, it is white, as for the model.
    context.fillStyle = 'white';
    context.fillRect(this.left, this.top, wide, high);
    if (this.mirrored) context.setTransform(-1, 0, 0, 1, 2 * this.left + wide, 0);
    context.drawImage(this.bitmap, this.left, this.top, wide, high);
  }

  #drawBoxes() {
    const context = this.boxes.getContext('2d');
    context.clearRect(0, 0, this.boxes.width, this.boxes.height);
    if (!this.bitmap) return;
    const ratio = devicePixelRatio || 1;
    const options = { place: (box) => this.#place(box), lineWidth: 2.5 * ratio, fontSize: Math.round(13 * ratio), highlight: this.highlight };
    drawBoxes(context, this.found, options);
  }

  /** A box in pixels of the canvas. */
  #place([x1, y1, x2, y2]) {
    const [left, right] = this.mirrored ? [this.bitmap.width - x2, this.bitmap.width - x1] : [x1, x2];
    return [this.left + left * this.scale, this.top + y1 * this.scale, this.left + right * this.scale, this.top + y2 * this.scale];
  }

  /** The smallest object under the pointer. */
  #objectAt(event) {
    const ratio = this.boxes.width / this.boxes.clientWidth;
    const [x, y] = [event.offsetX * ratio, event.offsetY * ratio];
    let best = -1;
    let least = Infinity;
    this.found.forEach(({ box }, index) => {
      const [left, top, right, bottom] = this.#place(box);
      const area = (right - left) * (bottom - top);
      if (x >= left && x <= right && y >= top && y <= bottom && area < least) [best, least] = [index, area];
    });
    return best;
  }
}
