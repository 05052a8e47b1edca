/**
 * Fits a picture into the model's input without changing its aspect ratio: the same rules, and the same pixels, as
 * `mbv3zoo.images.letterbox` in Python with Pillow.
 *
 * @typedef {object} Geometry Where a picture lies inside its letterbox.
 * @property {number} width Width of the picture in pixels.
 * @property {number} height Height of the picture in pixels.
 * @property {number} targetWidth Width of the letterbox in pixels.
 * @property {number} targetHeight Height of the letterbox in pixels.
 * @property {number} scale Letterbox pixels per picture pixel, before rounding to whole pixels.
 * @property {number} newWidth Width of the resized picture in pixels.
 * @property {number} newHeight Height of the resized picture in pixels.
 * @property {number} left Grey columns left of it.
 * @property {number} top Grey rows above it.
 */

import { Reducer, reduction } from './jpeg.js';

/** Grey of the space around the picture. */
const PAD_VALUE = 114;
/** Filter weights are whole numbers of this many fractional bits. */
const BITS = 22;

/**
 * @param {number} width Width of the picture in pixels, at least 1.
 * @param {number} height Height of the picture in pixels, at least 1.
 * @param {number[]} imageSize [height, width] of the model's input in pixels.
 * @returns {Geometry} The picture scaled to the largest size that fits, centred.
 */
export function fit(width, height, [targetHeight, targetWidth]) {
  const sides = [width, height, targetHeight, targetWidth];
  if (!sides.every((side) => Number.isInteger(side) && side >= 1)) {
    throw new RangeError(`picture of ${width} x ${height}, input of ${targetWidth} x ${targetHeight}: expected whole numbers >= 1`);
  }
  const scale = Math.min(targetHeight / height, targetWidth / width);
  const newWidth = Math.max(1, roundHalfToEven(scale * width));
  const newHeight = Math.max(1, roundHalfToEven(scale * height));
  const left = Math.floor((targetWidth - newWidth) / 2);
  const top = Math.floor((targetHeight - newHeight) / 2);
  return { width, height, targetWidth, targetHeight, scale, newWidth, newHeight, left, top };
}

/**
 * @param {Uint8Array | Uint8ClampedArray} rgba Pixels of the picture, row by row, 4 bytes each; transparent ones are
 *   composited over white.
 * @param {number} width Its width in pixels.
 * @param {number} height Its height in pixels.
 * @param {Geometry} geometry Of `fit`.
 * @param {?{halved: boolean}} [jpeg] Of `readJpeg`, where the pixels are those of a JPEG file.
 * @returns {Uint8Array} [3 * H * W], the planes red, green, blue of the letterbox.
 */
export function letterbox(rgba, width, height, geometry, jpeg = null) {
  const resizer = new Resizer(geometry, jpeg);
  if (width !== geometry.width || height !== geometry.height || rgba.length !== 4 * width * height) {
    throw new RangeError(`${rgba.length} bytes of ${width} x ${height} pixels for a letterbox of ${geometry.width} x ${geometry.height}`);
  }
  resizer.add(rgba, height);
  return resizer.finish();
}

/**
 * A letterbox whose picture comes some rows at a time, so that a large one is never in memory as a whole. (Pillow resizes
 * pictures of more than 100 times their width in height downwards first, which gives levels that differ by 1.)
 */
export class Resizer {
  /**
   * @param {Geometry} geometry Of `fit`.
   * @param {?{halved: boolean}} [jpeg] Of `readJpeg`; a large JPEG file is reduced first.
   */
  constructor(geometry, jpeg = null) {
    this.geometry = geometry;
    const { width, height, newWidth, newHeight } = geometry;
    const factor = jpeg ? reduction(geometry) : 1;
    if (factor > 1) this.reducer = new Reducer(width, height, factor, jpeg.halved);
    this.columns = weights(Math.ceil(width / factor), newWidth, width / factor);
    this.rows = weights(Math.ceil(height / factor), newHeight, height / factor);
    /** All rows so far, resized across: RGB, 3 bytes per pixel. */
    this.across = new Uint8Array(Math.ceil(height / factor) * newWidth * 3);
    this.done = 0;
  }

  /**
   * @param {Uint8Array | Uint8ClampedArray} rgba The next rows, 4 bytes per pixel.
   * @param {number} count How many rows.
   */
  add(rgba, count) {
    const { width } = this.geometry;
    const line = new Uint8Array(width * 3);
    for (let row = 0; row < count; row++) {
      overWhite(rgba, row * width * 4, line);
      if (this.reducer) this.reducer.add(line);
      else this.#add(line);
    }
  }

  #add(line) {
    const out = this.done * this.geometry.newWidth * 3;
    if (this.columns) resizeRow(line, this.columns, this.across, out);
    else this.across.set(line, out);
    this.done++;
  }

  /** @returns {Uint8Array} [3 * H * W], the planes red, green, blue of the letterbox. */
  finish() {
    if (this.reducer) {
      const reduced = this.reducer.finish();
      const step = this.reducer.columns * 3;
      for (let at = 0; at < reduced.length; at += step) this.#add(reduced.subarray(at, at + step));
    }
    const { targetWidth, targetHeight, newWidth, newHeight, left, top } = this.geometry;
    const plane = targetWidth * targetHeight;
    const planes = new Uint8Array(3 * plane).fill(PAD_VALUE);
    const line = new Uint8Array(newWidth * 3);
    for (let y = 0; y < newHeight; y++) {
      if (this.rows) mixRows(this.across, this.rows, y, line);
      else line.set(this.across.subarray(y * newWidth * 3, (y + 1) * newWidth * 3));
      let to = (top + y) * targetWidth + left;
      for (let x = 0; x < line.length; x += 3, to++) {
        planes[to] = line[x];
        planes[to + plane] = line[x + 1];
        planes[to + 2 * plane] = line[x + 2];
      }
    }
    return planes;
  }
}

/**
 * Letterbox coordinates -> picture coordinates: the means of the exact and of the rounded scale and padding, which are
 * within half a pixel of both.
 *
 * @param {Geometry} geometry Of `fit`.
 * @returns {{ratioX: number, ratioY: number, padX: number, padY: number}} x of the picture = (x - padX) / ratioX.
 */
export function mapping({ width, height, targetWidth, targetHeight, scale, newWidth, newHeight, left, top }) {
  return {
    ratioX: (newWidth / width + scale) / 2,
    ratioY: (newHeight / height + scale) / 2,
    padX: (left + (targetWidth - newWidth) / 2) / 2,
    padY: (top + (targetHeight - newHeight) / 2) / 2,
  };
}

/**
 * @param {ArrayLike<number>} box [x1, y1, x2, y2] in pixels of the letterbox.
 * @param {Geometry} geometry Of `fit`.
 * @returns {number[]} [x1, y1, x2, y2] in pixels of the picture, clipped to it.
 */
export function toOriginal(box, geometry) {
  const { ratioX, ratioY, padX, padY } = mapping(geometry);
  const x = (value) => Math.min(Math.max((value - padX) / ratioX, 0), geometry.width);
  const y = (value) => Math.min(Math.max((value - padY) / ratioY, 0), geometry.height);
  return [x(box[0]), y(box[1]), x(box[2]), y(box[3])];
}

/** Rounds as Python does. */
function roundHalfToEven(value) {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/**
 * Weights of an antialiased bilinear filter: a triangle, as wide as two input pixels, or two output pixels where the
 * picture shrinks. Null where the size stays.
 *
 * @param {number} from Pixels of the input.
 * @param {number} to Pixels of the output.
 * @param {number} covered How many of the input the picture covers: less than `from` where its last block is not full.
 * @returns {?{to: number, most: number, starts: Int32Array, counts: Int32Array, values: Int32Array}} For each output
 *   pixel the first input pixel, how many there are, and their weights from `most` times its number on.
 */
function weights(from, to, covered) {
  if (from === to && covered === from) return null;
  const scale = covered / to;
  const support = Math.max(1, scale);
  const most = Math.ceil(support) * 2 + 1;
  const starts = new Int32Array(to);
  const counts = new Int32Array(to);
  const values = new Int32Array(to * most);
  const exact = new Float64Array(most);
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const count = Math.min(from, Math.trunc(centre + support + 0.5)) - first;
    let sum = 0;
    for (let j = 0; j < count; j++) {
      exact[j] = Math.max(0, 1 - Math.abs((j + first - centre + 0.5) * (1 / support)));
      sum += exact[j];
    }
    for (let j = 0; j < count; j++) values[i * most + j] = Math.trunc(0.5 + (exact[j] / sum) * (1 << BITS));
    starts[i] = first;
    counts[i] = count;
  }
  return { to, most, starts, counts, values };
}

/** One row of RGBA as RGB; rounds like Pillow's `alpha_composite`. */
function overWhite(rgba, start, line) {
  for (let from = start, to = 0; to < line.length; from += 4, to += 3) {
    const alpha = rgba[from + 3];
    for (let i = 0; i < 3; i++) {
      if (alpha === 255) {
        line[to + i] = rgba[from + i];
      } else {
        const sum = (rgba[from + i] * alpha + 255 * (255 - alpha) + 128) * 128;
        line[to + i] = (((sum >> 8) + sum) >> 8) >> 7;
      }
    }
  }
}

/** Resizes one row of RGB across. */
function resizeRow(line, { to, most, starts, counts, values }, out, at) {
  const half = 1 << (BITS - 1);
  for (let i = 0; i < to; i++, at += 3) {
    let red = half;
    let green = half;
    let blue = half;
    let from = starts[i] * 3;
    const end = i * most + counts[i];
    for (let j = i * most; j < end; j++, from += 3) {
      const weight = values[j];
      red += line[from] * weight;
      green += line[from + 1] * weight;
      blue += line[from + 2] * weight;
    }
    out[at] = Math.min(255, red >> BITS);
    out[at + 1] = Math.min(255, green >> BITS);
    out[at + 2] = Math.min(255, blue >> BITS);
  }
}

/** Row y of the picture resized downwards, from its rows resized across. */
function mixRows(rows, { most, starts, counts, values }, y, line) {
  const half = 1 << (BITS - 1);
  const step = line.length;
  for (let x = 0; x < step; x++) {
    let sum = half;
    let from = starts[y] * step + x;
    const end = y * most + counts[y];
    for (let j = y * most; j < end; j++, from += step) sum += rows[from] * values[j];
    line[x] = Math.min(255, sum >> BITS);
  }
}
