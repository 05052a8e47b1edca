/**
 * Raw maps of the network -> boxes with scores, by the same rules as `mbv3zoo.models.postprocess.arrays` in Python.
 *
 * @typedef {object} Level One map of the network.
 * @property {Float32Array} data Raw logits [A * (5 + K), rows, columns]: tx, ty, tw, th, objectness and K classes of
 *   each of A anchors.
 * @property {readonly number[]} dims [1, A * (5 + K), rows, columns].
 *
 * @typedef {object} Candidates Boxes before NMS, in the order of the cells.
 * @property {Float32Array} boxes [N * 4], x1, y1, x2, y2 in pixels.
 * @property {Float32Array} scores [N] in 0..1.
 * @property {Int32Array} labels [N].
 */

/**
 * @param {Level[]} maps One per stride.
 * @param {{anchors: number[][][], strides: number[]}} info Of model.json: per stride the anchors [width, height] in
 *   pixels of the input, and the strides in input pixels per cell.
 * @param {number} minScore Only scores of at least this are kept, 0..1.
 * @returns {Candidates} Each cell's box with its best class, in pixels of the letterbox.
 */
export function decode(maps, info, minScore) {
  const boxes = [];
  const scores = [];
  const labels = [];
  maps.forEach((map, level) => {
    const anchors = info.anchors[level];
    const [, channels, rows, columns] = map.dims;
    const outputs = channels / anchors.length;
    const cells = rows * columns;
    // Most cells hold no object, which the objectness alone says.
    const least = leastLogit(minScore);
    anchors.forEach(([anchorWidth, anchorHeight], anchor) => {
      const start = anchor * outputs * cells;
      for (let cell = 0; cell < cells; cell++) {
        const at = start + cell;
        if (!(map.data[at + 4 * cells] >= least)) continue;
        const [label, score] = bestClass(map.data, at, cells, outputs);
        if (!(score >= minScore)) continue;
        const output = (i) => sigmoid(map.data[at + i * cells]);
        const x = centre(output(0), cell % columns, info.strides[level]);
        const y = centre(output(1), Math.floor(cell / columns), info.strides[level]);
        const halfWidth = half(output(2), anchorWidth);
        const halfHeight = half(output(3), anchorHeight);
        boxes.push(x - halfWidth, y - halfHeight, x + halfWidth, y + halfHeight);
        scores.push(score);
        labels.push(label);
      }
    });
  });
  return { boxes: Float32Array.from(boxes), scores: Float32Array.from(scores), labels: Int32Array.from(labels) };
}

/** The best class of a cell, the first of equal ones, and its score = sigmoid(objectness) * sigmoid(class). */
function bestClass(data, at, cells, outputs) {
  const objectness = sigmoid(data[at + 4 * cells]);
  let label = 0;
  let best = -1;
  for (let i = 5; i < outputs; i++) {
    // Compared after rounding to float32, as in Python: large logits tie.
    const score = Math.fround(objectness * sigmoid(data[at + i * cells]));
    if (score > best) {
      best = score;
      label = i - 5;
    }
  }
  return [label, best];
}

/** The logit of a score, a little less than exact, so that rounding drops nothing that passes. */
function leastLogit(score) {
  const lower = score * (1 - 1e-6);
  if (lower <= 0) return -Infinity;
  return Math.log(lower / (1 - lower)) - 1e-3;
}

/** Rounded to float32 at each step, as in Python: boxes that have no width there have none here. */
function centre(probability, cell, stride) {
  return Math.fround(Math.fround(probability * 2 + (cell - 0.5)) * stride);
}

/** Half a side in pixels. */
function half(probability, anchor) {
  return Math.fround(Math.fround(Math.fround(4 * probability * probability) * Math.fround(anchor)) / 2);
}

function sigmoid(x) {
  return Math.fround(1 / (1 + Math.exp(-x)));
}
