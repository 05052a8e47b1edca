/** Runs the model: a module Worker that `Detector` in detector.js starts. */
import { decode } from './decode.js';
import { labelMap } from './labels.js';
import { Resizer, fit, mapping } from './letterbox.js';

/** Lowest score of the candidates that the page gets, so that its sliders need no new run. */
const MIN_SCORE = 0.01;
/** Most pixels of a picture that are copied at once, and its most columns: canvases of phones have narrow limits. */
const MOST_PIXELS = 4_000_000;
const MOST_COLUMNS = 4096;
/** Size of the runtime's .wasm, for the progress: servers that compress it do not say. */
const RUNTIME_BYTES = 14_239_897;

let ort;
let session;
let info;
let canvas;

self.onmessage = async ({ data }) => {
  if (data.type === 'load') {
    try {
      const threads = await load(data.base);
      self.postMessage({ type: 'loaded', info, threads });
    } catch (error) {
      self.postMessage({ type: 'failed', message: error.message });
    }
    return;
  }
  try {
    const result = await detect(data.bitmap, data.jpeg);
    self.postMessage({ type: 'result', id: data.id, result }, Object.values(result).flatMap((value) => value.buffer ?? []));
  } catch (error) {
    self.postMessage({ type: 'error', id: data.id, message: error.message });
  }
};

/** Loads runtime and model at the same time; returns the number of threads. */
async function load(base) {
  info = await readInfo(new URL('model.json', base));
  const progress = counter(info.bytes + RUNTIME_BYTES);
  const runtime = new URL('runtime/ort.wasm.min.mjs', base);
  const model = new URL(info.file, base);
  const [module, wasm, weights] = await Promise.all([
    import(runtime.href).catch((error) => explainModule(runtime, error)),
    download(new URL('runtime/ort-wasm-simd-threaded.wasm', base), progress),
    download(model, progress).then((bytes) => check(bytes, model)),
  ]);
  ort = module;
  ort.env.logLevel = 'error';
  ort.env.wasm.wasmPaths = new URL('runtime/', base).href;
  // Given as bytes, the file's MIME type, which many servers do not know, does not matter.
  ort.env.wasm.wasmBinary = wasm;
  // Threads share memory, which browsers allow to isolated pages only.
  const threads = self.crossOriginIsolated ? Math.min(4, Math.ceil(navigator.hardwareConcurrency / 2)) : 1;
  ort.env.wasm.numThreads = threads;
  try {
    session = await ort.InferenceSession.create(weights, { executionProviders: ['wasm'] });
  } catch (error) {
    const glue = new URL('runtime/ort-wasm-simd-threaded.mjs', base);
    await explainModule(glue, new Error(`the model does not start: ${error.message}`));
  }
  return threads;
}

async function readInfo(address) {
  const text = new TextDecoder().decode(await download(address));
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${address} is not JSON; write the folder anew`, { cause: error });
  }
}

/** All bytes of a file, revalidated so that model.json and the model are of one time. */
async function download(address, progress) {
  let response;
  try {
    response = await fetch(address, { cache: 'no-cache' });
  } catch (error) {
    throw new Error(`${address} cannot be reached (${error.message}); serve the folder, for example with python -m http.server`, { cause: error });
  }
  if (!response.ok) throw new Error(`${address} is not there (HTTP ${response.status}); copy the whole folder that mbv3zoo demo wrote`);
  if (!progress || !response.body) return new Uint8Array(await response.arrayBuffer());
  const parts = [];
  const reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    progress(part.value.length);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** The model, if it is the one that model.json describes. */
async function check(bytes, address) {
  let differs = bytes.length !== info.bytes && `has ${bytes.length} bytes, not ${info.bytes}`;
  // Only pages from https and from this machine have it.
  if (!differs && info.sha256 && self.crypto?.subtle) {
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
    const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
    differs = hex !== info.sha256 && 'has another SHA-256';
  }
  if (differs) throw new Error(`${address} is not the model that model.json describes (it ${differs}); upload both anew, as they were written together`);
  return bytes;
}

/** Throws why a script could not be imported, which the browser's own error does not say. */
async function explainModule(address, error) {
  const response = await fetch(address).catch(() => null);
  if (response?.ok) {
    const type = response.headers.get('content-type') ?? 'no type';
    if (!/javascript/.test(type)) {
      throw new Error(`${address} is served as ${type}, not as text/javascript; tell the server the MIME type of .mjs`, { cause: error });
    }
    throw error;
  }
  throw new Error(`${address} is not there (HTTP ${response?.status ?? 'error'}); copy the whole folder that mbv3zoo demo wrote`, { cause: error });
}

/** Adds up bytes and tells the page, at most every 50 milliseconds and at the end. */
function counter(total) {
  let loaded = 0;
  let told = 0;
  return (bytes) => {
    loaded += bytes;
    if (performance.now() - told < 50 && loaded < total) return;
    told = performance.now();
    self.postMessage({ type: 'progress', loaded: Math.min(loaded, total), total });
  };
}

/** @returns {Promise<import('./detector.js').Detected>} */
async function detect(bitmap, jpeg) {
  const started = performance.now();
  const { width, height } = bitmap;
  const geometry = fit(width, height, info.image_size);
  const pixels = readPixels(bitmap, geometry, jpeg);
  bitmap.close();
  const prepared = performance.now();
  const input = new ort.Tensor('uint8', pixels, [1, 3, geometry.targetHeight, geometry.targetWidth]);
  const outputs = await session.run({ [session.inputNames[0]]: input });
  const run = performance.now();
  const maps = session.outputNames.map((name) => outputs[name]);
  const found = info.task === 'segmentation' ? ofPixels(maps[0], geometry) : objects(maps, geometry);
  const ended = performance.now();
  const milliseconds = { prepare: prepared - started, run: run - prepared, decode: ended - run, total: ended - started };
  return { ...found, width, height, milliseconds };
}

function objects(maps, geometry) {
  const candidates = decode(maps, info, Math.min(MIN_SCORE, info.score_thresh));
  return { ...candidates, boxes: ofPicture(candidates.boxes, geometry) };
}

function ofPixels({ data, dims }, geometry) {
  const pixels = labelMap({ data, dims }, geometry);
  const counts = new Uint32Array(dims[1]);
  for (const label of pixels) counts[label]++;
  return { map: { data, dims }, geometry, pixels, counts };
}

/** The picture's letterbox, read some tiles at a time. */
function readPixels(bitmap, geometry, jpeg) {
  const { width, height } = geometry;
  const rows = Math.min(height, Math.max(1, Math.floor(MOST_PIXELS / width)));
  const columns = Math.min(width, MOST_COLUMNS);
  const resizer = new Resizer(geometry, jpeg);
  if (canvas?.width !== columns || canvas?.height !== rows) canvas = new OffscreenCanvas(columns, rows);
  const context = canvas.getContext('2d', { alpha: false, willReadFrequently: true });
  if (!context) throw new Error(`a picture of ${width} x ${height} pixels is too large for this browser; make it smaller`);
  // As Python does, transparent pixels are composited over white.
  context.fillStyle = 'white';
  for (let top = 0; top < height; top += rows) {
    const count = Math.min(rows, height - top);
    const strip = new Uint8ClampedArray(width <= columns ? 0 : width * count * 4);
    let tile;
    for (let left = 0; left < width; left += columns) {
      const across = Math.min(columns, width - left);
      context.fillRect(0, 0, columns, rows);
      context.drawImage(bitmap, left, top, across, count, 0, 0, across, count);
      tile = context.getImageData(0, 0, across, count).data;
      for (let row = 0; strip.length && row < count; row++) {
        strip.set(tile.subarray(row * across * 4, (row + 1) * across * 4), (row * width + left) * 4);
      }
    }
    resizer.add(strip.length ? strip : tile, count);
  }
  return resizer.finish();
}

/** Boxes of the letterbox in pixels of the picture; not clipped, so that their IoUs stay what they were. */
function ofPicture(boxes, geometry) {
  const { ratioX, ratioY, padX, padY } = mapping(geometry);
  return boxes.map((value, i) => (i % 2 ? (value - padY) / ratioY : (value - padX) / ratioX));
}
