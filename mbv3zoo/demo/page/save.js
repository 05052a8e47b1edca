/** Results as files. */
import { channels, classColour } from './colours.js';
import { colourMap, drawBoxes } from './draw.js';

/**
 * @param {object} picture
 * @param {?string} picture.name Of the file.
 * @param {?string} picture.error Why it was not read.
 * @param {?{width: number, height: number}} picture.detected
 * @param {import('./nms.js').Found[]} found
 * @returns {object} A row of the `predictions.json` that `mbv3zoo predict` writes.
 */
export function toRow({ name, error, detected }, found) {
  const detections = found.map(({ box, score, label, name }) => ({ box, score, label, name }));
  const classes = found.map(({ label, name, score }) => ({ label, name, share: score }));
  return {
    path: name,
    error: error ?? null,
    image_size: { height: detected?.height ?? 0, width: detected?.width ?? 0 },
    ...(detected?.counts ? { classes } : { detections }),
  };
}

/**
 * @param {object[]} rows
 * @returns {Blob} A JSON list, one row per line.
 */
export function toJson(rows) {
  return new Blob([`[\n${rows.map((row) => JSON.stringify(row)).join(',\n')}\n]\n`], { type: 'application/json' });
}

/**
 * @param {ImageBitmap} bitmap
 * @param {import('./nms.js').Found[]} found
 * @param {object} [map] As for `Stage.setFound`.
 * @returns {Promise<Blob>} PNG of the picture's own size, with the lines and letters of Python's `plot()`.
 */
export async function toPicture(bitmap, found, map) {
  const canvas = document.createElement('canvas');
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  const context = canvas.getContext('2d');
  const longest = Math.max(bitmap.width, bitmap.height);
  if (context) {
    context.fillStyle = 'white';
    context.fillRect(0, 0, bitmap.width, bitmap.height);
    context.drawImage(bitmap, 0, 0);
    const [lineWidth, fontSize] = [Math.max(1, Math.round(longest / 320)), Math.max(10, Math.round(longest / 45))];
    if (map) context.drawImage(colourMap(map, found, map), 0, 0);
    else drawBoxes(context, found, { place: (box) => box, lineWidth, fontSize });
  }
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
  if (!blob) throw new Error(`a picture of ${bitmap.width} x ${bitmap.height} pixels is too large for this browser to save; make it smaller`);
  return blob;
}

/** A label map as the mask that `mbv3zoo predict` writes: a PNG whose pixels are classes, with a palette. */
export async function toMask({ pixels, width, height }) {
  const palette = Array.from({ length: 256 }, (_, label) => (label < 255 ? channels(classColour(label)) : [255, 255, 255]));
  // Before each row stands the number of its filter.
  const rows = new Uint8Array(height * (width + 1));
  for (let y = 0; y < height; y++) rows.set(pixels.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const packed = await new Response(new Blob([rows]).stream().pipeThrough(new CompressionStream('deflate'))).arrayBuffer();
  const header = [...bytes(width), ...bytes(height), 8, 3, 0, 0, 0];
  const chunks = [chunk('IHDR', header), chunk('PLTE', palette.flat()), chunk('IDAT', new Uint8Array(packed)), chunk('IEND', [])];
  return new Blob([Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10), ...chunks.flat()], { type: 'image/png' });
}

/** A part of a PNG file, with its length and its CRC-32. */
function chunk(name, data) {
  const body = new Uint8Array(4 + data.length);
  body.set(new TextEncoder().encode(name));
  body.set(data, 4);
  let crc = ~0;
  for (const byte of body) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 && 0xedb88320);
  }
  return [bytes(data.length), body, bytes(~crc)];
}

/** A number's four bytes, the highest first. */
const bytes = (number) => Uint8Array.of(number >>> 24, number >>> 16, number >>> 8, number);

/**
 * @param {Blob} blob
 * @param {string} name Of the file that the browser saves.
 */
export function download(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
