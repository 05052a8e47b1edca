/**
 * The detector, in a Worker of its own so that the page never freezes.
 *
 * @typedef {object} Detected What was found in one picture, before thresholds and NMS (see `select` in nms.js).
 * @property {number} width Width of the picture in pixels.
 * @property {number} height Height of the picture in pixels.
 * @property {Uint8Array} [pixels] Of a segmenter [H * W], the class of each, in place of the next three; with `map` and
 *   `geometry`, which it is made from (see `labelMap` in labels.js), and `counts`, the number of pixels of each class.
 * @property {Float32Array} boxes [N * 4], x1, y1, x2, y2 in pixels of the picture; they may reach out of it.
 * @property {Float32Array} scores [N], each at least 0.01.
 * @property {Int32Array} labels [N].
 * @property {{prepare: number, run: number, decode: number, total: number}} milliseconds How long each part took.
 */

import { readJpeg } from './jpeg.js';

/** How pictures are read: turned as EXIF says, colour values as they are stored, as Python reads them. */
const READING = { imageOrientation: 'from-image', colorSpaceConversion: 'none', premultiplyAlpha: 'none' };

/**
 * Decodes a picture file.
 *
 * @param {Blob} file A file that the browser can decode; an animation gives its first frame.
 * @returns {Promise<ImageBitmap>} Its pixels, upright.
 */
export async function readPicture(file) {
  const name = file.name || 'the picture';
  if (!file.size) throw new Error(`${name} is empty; choose another file`);
  try {
    return await createImageBitmap(file, READING);
  } catch (error) {
    const kind = file.type ? ` (${file.type})` : '';
    throw new Error(
      `${name}${kind} cannot be read: it is damaged, too large for this browser's memory, or in a format that this browser does not know; save it as JPEG or PNG, below 100 million pixels`,
      { cause: error },
    );
  }
}

async function copyPicture(source) {
  try {
    return await createImageBitmap(source, { premultiplyAlpha: 'none' });
  } catch (error) {
    throw new Error(`the picture cannot be read (${error.message}); give a file, a bitmap, or a canvas or video that shows something`, {
      cause: error,
    });
  }
}

export class Detector {
  /** Use `Detector.load`. */
  constructor(worker, info, threads) {
    /** @type {object} model.json. */
    this.info = info;
    /** @type {number} Threads that run the model: 1 where the page is not cross-origin isolated. */
    this.threads = threads;
    this.worker = worker;
    this.waiting = new Map();
    this.queue = Promise.resolve();
    this.next = 0;
    worker.onmessage = ({ data }) => this.#settle(data);
    worker.onerror = (event) => this.#fail(new Error(`the detector stopped: ${event.message}; reload the page`));
  }

  /**
   * Starts the runtime and loads the model.
   *
   * @param {object} [options]
   * @param {string | URL} [options.base] Address of the folder with model.json and runtime/; by default that of this file.
   * @param {(progress: {loaded: number, total: number}) => void} [options.onProgress] Called with bytes while they come.
   * @returns {Promise<Detector>}
   * @throws {Error} One sentence that says what is missing.
   */
  static load({ base = new URL('.', import.meta.url), onProgress } = {}) {
    return new Promise((resolve, reject) => {
      const missing = missingFeature();
      if (missing) {
        reject(new Error(`this browser has no ${missing}; use a current Chrome, Edge, Firefox or Safari (16.4 or later)`));
        return;
      }
      const address = new URL('worker.js', import.meta.url);
      const worker = new Worker(address, { type: 'module' });
      const fail = (message) => {
        worker.terminate();
        reject(new Error(message));
      };
      // A script that is not found, or served as another type, gives an event that says nothing.
      worker.onerror = (event) => {
        event.preventDefault();
        fail(`${address} did not start (${event.message || 'not found, or not served as text/javascript'}); write the folder anew or use another server`);
      };
      worker.onmessage = ({ data }) => {
        if (data.type === 'progress') onProgress?.({ loaded: data.loaded, total: data.total });
        else if (data.type === 'failed') fail(data.message);
        else if (data.type === 'loaded') resolve(new Detector(worker, data.info, data.threads));
      };
      worker.postMessage({ type: 'load', base: new URL(base, document.baseURI).href });
    });
  }

  /**
   * Finds everything that may be an object. Pictures wait for one another.
   *
   * @param {Blob | ImageBitmap | ImageData | HTMLCanvasElement | OffscreenCanvas | HTMLVideoElement | HTMLImageElement} source
   *   The picture, which stays usable.
   * @returns {Promise<Detected>}
   */
  detect(source) {
    const result = this.queue.then(() => this.#detect(source));
    this.queue = result.catch(() => {});
    return result;
  }

  /** Ends the Worker; what still waits fails. */
  close() {
    this.worker.terminate();
    this.#fail(new Error('the detector was closed'));
  }

  async #detect(source) {
    if (this.ended) throw this.ended;
    const isFile = source instanceof Blob;
    const bitmap = isFile ? await readPicture(source) : await copyPicture(source);
    const jpeg = isFile ? await readJpeg(source) : null;
    return new Promise((resolve, reject) => {
      const id = this.next++;
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ type: 'detect', id, bitmap, jpeg }, [bitmap]);
    });
  }

  #settle({ type, id, result, message }) {
    const { resolve, reject } = this.waiting.get(id);
    this.waiting.delete(id);
    if (type === 'result') resolve(result);
    else reject(new Error(message));
  }

  #fail(error) {
    this.ended = error;
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }
}

/** What this browser lacks, or null. */
function missingFeature() {
  // A module whose only function uses one 128-bit instruction.
  const simd = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];
  if (typeof WebAssembly !== 'object') return 'WebAssembly';
  if (!WebAssembly.validate(new Uint8Array(simd))) return 'WebAssembly SIMD';
  if (typeof OffscreenCanvas !== 'function') return 'OffscreenCanvas';
  return null;
}
