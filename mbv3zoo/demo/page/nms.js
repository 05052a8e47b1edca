/**
 * Which candidates are shown: thresholds, classes and greedy NMS of each class by itself, as Python's `predict`.
 *
 * @typedef {object} Found One object.
 * @property {number} label Index of its class.
 * @property {string} name Name of its class.
 * @property {number} score In 0..1; of a segmenter's class its share of the picture.
 * @property {number[]} [box] [x1, y1, x2, y2] in pixels of the picture; a segmenter's class has none.
 */

/** Most candidates that enter NMS; the best do. */
const MAX_CANDIDATES = 30000;

/**
 * @param {{boxes: ArrayLike<number>, scores: ArrayLike<number>, labels: ArrayLike<number>, width?: number,
 *   height?: number}} candidates What `Detector.detect` gives; with a width and height, boxes are clipped to them in
 *   the end.
 * @param {object} options
 * @param {number} options.scoreThresh Only scores above it are kept, 0..1.
 * @param {number} options.iouThresh Of two boxes of one class whose IoU is above it, only the better one is kept, 0..1.
 * @param {number} [options.maxDetections] Most objects; the best are kept.
 * @param {?Iterable<number>} [options.classes] Labels to keep; null keeps all. Others are dropped before NMS.
 * @param {string[]} [options.classNames] Name of each class; without them a class is named by its number.
 * @returns {Found[]} Best first; of equal scores the earlier candidate first.
 */
export function select(candidates, { scoreThresh, iouThresh, maxDetections = 300, classes = null, classNames = [] }) {
  const { boxes, scores, labels, width = Infinity, height = Infinity } = candidates;
  const wanted = classes && new Set(classes);
  let order = [];
  for (let i = 0; i < scores.length; i++) {
    if (scores[i] > scoreThresh && (!wanted || wanted.has(labels[i]))) order.push(i);
  }
  // Array sorting is stable.
  order = order.sort((a, b) => scores[b] - scores[a]).slice(0, MAX_CANDIDATES);
  /** @type {Map<number, number[]>} What is kept of each class. */
  const rivals = new Map();
  const found = [];
  for (const i of order) {
    if (found.length >= maxDetections) break;
    const label = labels[i];
    if (!rivals.has(label)) rivals.set(label, []);
    if (rivals.get(label).some((other) => iou(boxes, other, i) > iouThresh)) continue;
    rivals.get(label).push(i);
    const x = (value) => (width === Infinity ? value : Math.min(Math.max(value, 0), width));
    const y = (value) => (height === Infinity ? value : Math.min(Math.max(value, 0), height));
    const box = [x(boxes[4 * i]), y(boxes[4 * i + 1]), x(boxes[4 * i + 2]), y(boxes[4 * i + 3])];
    found.push({ label, name: classNames[label] ?? String(label), score: scores[i], box });
  }
  return found;
}

/** Of two boxes; NaN, which is above no threshold, where neither has an area. */
function iou(boxes, a, b) {
  a *= 4;
  b *= 4;
  const width = Math.min(boxes[a + 2], boxes[b + 2]) - Math.max(boxes[a], boxes[b]);
  const height = Math.min(boxes[a + 3], boxes[b + 3]) - Math.max(boxes[a + 1], boxes[b + 1]);
  const shared = Math.max(width, 0) * Math.max(height, 0);
  const areaA = (boxes[a + 2] - boxes[a]) * (boxes[a + 3] - boxes[a + 1]);
  const areaB = (boxes[b + 2] - boxes[b]) * (boxes[b + 3] - boxes[b + 1]);
  return shared / (areaA + areaB - shared);
}
