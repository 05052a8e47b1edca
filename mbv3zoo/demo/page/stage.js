/** The picture on the page, with boxes or colours over it. */
import { colourMap, drawBoxes } from './draw.js';

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
   * @param {object} [map] Of a segmenter: the class of every pixel, and the opacity of their colours.
   */
  setFound(found, label, map) {
    Object.assign(this, { found, map });
    this.highlight = -1;
    this.boxes.setAttribute('aria-label', label);
    this.#drawFound();
  }

  /** @param {number} index Of the object or class that stands out, -1 for none. */
  setHighlight(index) {
    if (index === this.highlight) return;
    this.highlight = index;
    this.#drawFound();
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
    this.size = [this.bitmap.width, this.bitmap.height].map((side) => Math.max(1, side * this.scale));
    this.#paint(this.picture, this.bitmap, 'white');
    this.#drawFound();
  }

  /** Where a picture is transparent, it is white, as for the model. */
  #paint(canvas, image, ground) {
    const context = canvas.getContext('2d');
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingQuality = 'high';
    context.fillStyle = ground;
    context.fillRect(this.left, this.top, ...this.size);
    if (this.mirrored) context.setTransform(-1, 0, 0, 1, 2 * this.left + this.size[0], 0);
    context.drawImage(image, this.left, this.top, ...this.size);
    context.setTransform(1, 0, 0, 1, 0, 0);
  }

  #drawFound() {
    const context = this.boxes.getContext('2d');
    context.clearRect(0, 0, this.boxes.width, this.boxes.height);
    if (!this.bitmap) return;
    if (this.map) {
      const options = { ...this.map, highlight: this.highlight, size: this.size.map(Math.round) };
      return this.#paint(this.boxes, colourMap(this.map, this.found, options), 'transparent');
    }
    const ratio = devicePixelRatio || 1;
    const options = { place: (box) => this.#place(box), lineWidth: 2.5 * ratio, fontSize: Math.round(13 * ratio), highlight: this.highlight };
    drawBoxes(context, this.found, options);
  }

  /** A box in pixels of the canvas. */
  #place([x1, y1, x2, y2]) {
    const [left, right] = this.mirrored ? [this.bitmap.width - x2, this.bitmap.width - x1] : [x1, x2];
    return [this.left + left * this.scale, this.top + y1 * this.scale, this.left + right * this.scale, this.top + y2 * this.scale];
  }

  /** The smallest object, or the class, under the pointer. */
  #objectAt(event) {
    const ratio = this.boxes.width / this.boxes.clientWidth;
    const [x, y] = [event.offsetX * ratio, event.offsetY * ratio];
    if (this.map) {
      const { pixels, width } = this.map;
      const column = Math.floor(((this.mirrored ? this.boxes.width - x : x) - this.left) / this.scale);
      const label = column >= 0 && column < width && pixels[Math.floor((y - this.top) / this.scale) * width + column];
      return this.found.findIndex((one) => one.label === label);
    }
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
