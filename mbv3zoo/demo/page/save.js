/** Results as files. */
import { drawBoxes } from './draw.js';

/**
 * @param {object} picture
 * @param {?string} picture.name Of the file.
 * @param {?string} picture.error Why it was not read.
 * @param {?{width: number, height: number}} picture.detected
 * @param {import('./nms.js').Found[]} found
 * @returns {object} A row of the `predictions.json` that `mbv3zoo predict` writes.
 */
export function toRow({ name, error, detected }, found) {
  return {
    path: name,
    error: error ?? null,
    image_size: { height: detected?.height ?? 0, width: detected?.width ?? 0 },
    detections: found.map(({ box, score, label, name }) => ({ box, score, label, name })),
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
 * @returns {Promise<Blob>} PNG of the picture's own size, with the lines and letters of Python's `plot()`.
 */
export async function toPicture(bitmap, found) {
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
    drawBoxes(context, found, { place: (box) => box, lineWidth, fontSize });
  }
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
  if (!blob) throw new Error(`a picture of ${bitmap.width} x ${bitmap.height} pixels is too large for this browser to save; make it smaller`);
  return blob;
}

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
