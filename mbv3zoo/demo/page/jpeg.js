/**
 * JPEG files as Python reads them: where one is at least twice as large as the model's input, the decoder reduces it, which
 * is faster. A browser decodes it whole, so that the page reduces it in the same way.
 */

/** Bytes at the beginning of a file that are searched for its header. */
const HEAD = 2 ** 18;

/**
 * @param {Blob} file A picture file.
 * @returns {Promise<?{halved: boolean}>} Null where it is no JPEG; `halved`: its colours are kept at half the resolution,
 *   across and down (4:2:0), as they mostly are.
 */
export async function readJpeg(file) {
  const bytes = new Uint8Array(await file.slice(0, HEAD).arrayBuffer());
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8 || bytes[2] !== 0xff) return null;
  // Segments follow: 0xff, a marker, two bytes of length. The frame's, SOF, has the sampling of each component.
  for (let at = 2; at + 18 < bytes.length && bytes[at] === 0xff; at += 2 + bytes[at + 2] * 256 + bytes[at + 3]) {
    const marker = bytes[at + 1];
    if (marker < 0xc0 || marker > 0xcf || [0xc4, 0xc8, 0xcc].includes(marker)) continue;
    const sampling = [11, 14, 17].map((place) => bytes[at + place]);
    return { halved: bytes[at + 9] === 3 && sampling.join() === '34,17,17' };
  }
  return { halved: false };
}

/**
 * @param {import('./letterbox.js').Geometry} geometry Of `fit`.
 * @returns {number} How far a decoder reduces a picture that is needed in this size: 1, 2, 4 or 8, as Pillow's `draft`.
 */
export function reduction({ width, height, newWidth, newHeight }) {
  const most = Math.min(Math.floor(width / newWidth), Math.floor(height / newHeight));
  return [8, 4, 2].find((factor) => factor <= most) ?? 1;
}

/**
 * A picture reduced by averages over blocks, some rows at a time; those at the right and below may be of fewer pixels.
 */
export class Reducer {
  /**
   * @param {number} width Width of the picture in pixels.
   * @param {number} height Its height in pixels.
   * @param {number} factor Side of a block in pixels.
   * @param {boolean} halved Of `readJpeg`. A decoder that halves the picture then leaves the colours as they are, where a
   *   browser interpolated them; that is undone. (Where more is reduced, there is hardly a difference.)
   */
  constructor(width, height, factor, halved) {
    Object.assign(this, { height, factor, sharpens: halved && factor === 2 });
    this.columns = Math.ceil(width / factor);
    this.rows = Math.ceil(height / factor);
    this.sums = new Float32Array(this.columns * this.rows * 3);
    this.across = Array.from({ length: this.columns }, (_, i) => Math.min(factor, width - i * factor));
    this.read = 0;
  }

  /** @param {Uint8Array} line One row of RGB. */
  add(line) {
    const { factor, sums } = this;
    const start = Math.floor(this.read / factor) * this.columns * 3;
    for (let x = 0, at = start, i = 0; x < line.length; x += 3) {
      sums[at] += line[x];
      sums[at + 1] += line[x + 1];
      sums[at + 2] += line[x + 2];
      if (++i === factor) {
        i = 0;
        at += 3;
      }
    }
    this.read++;
  }

  /** @returns {Uint8ClampedArray} [rows * columns * 3], RGB. */
  finish() {
    const { columns, rows, sums, factor, across } = this;
    for (let y = 0, at = 0; y < rows; y++) {
      const down = Math.min(factor, this.height - y * factor);
      for (let x = 0; x < columns; x++, at += 3) {
        const count = across[x] * down;
        for (let i = at; i < at + 3; i++) sums[i] /= count;
      }
    }
    if (this.sharpens) undoInterpolation(sums, columns, rows);
    return Uint8ClampedArray.from(sums);
  }
}

/**
 * Averages over pairs of pixels of colours that were interpolated, (3 * near + far) / 4, mix each colour with its
 * neighbours: 1, 6, 1 parts of 8. This gives back what was before, in place.
 */
function undoInterpolation(rgb, columns, rows) {
  const size = columns * rows;
  const blue = new Float32Array(size);
  const red = new Float32Array(size);
  for (let i = 0, at = 0; i < size; i++, at += 3) {
    const luma = lumaOf(rgb, at);
    blue[i] = rgb[at + 2] - luma;
    red[i] = rgb[at] - luma;
  }
  for (const plane of [blue, red]) {
    for (let y = 0; y < rows; y++) unmix(plane, y * columns, 1, columns);
    for (let x = 0; x < columns; x++) unmix(plane, x, columns, rows);
  }
  for (let i = 0, at = 0; i < size; i++, at += 3) {
    const luma = lumaOf(rgb, at);
    rgb[at] = luma + red[i];
    rgb[at + 2] = luma + blue[i];
    rgb[at + 1] = luma - (0.299 * red[i] + 0.114 * blue[i]) / 0.587;
  }
}

function lumaOf(rgb, at) {
  return 0.299 * rgb[at] + 0.587 * rgb[at + 1] + 0.114 * rgb[at + 2];
}

/** Solves (1, 6, 1) / 8 * x = values, with 7 in place of 6 at both ends, by elimination and substitution. */
function unmix(values, start, step, count) {
  if (count < 3) return;
  const shares = new Float32Array(count);
  let before = 0;
  let share = 0;
  for (let i = 0, at = start; i < count; i++, at += step) {
    const pivot = (i === 0 || i === count - 1 ? 7 : 6) - share;
    before = (8 * values[at] - before) / pivot;
    share = 1 / pivot;
    values[at] = before;
    shares[i] = share;
  }
  for (let i = count - 2, at = start + i * step; i >= 0; i--, at -= step) values[at] -= shares[i] * values[at + step];
}
