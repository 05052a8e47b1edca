/**
 * The map of a segmenter -> the class of every pixel, as `mbv3zoo.models.postprocess.label_map` in Python.
 *
 * @param {{data: Float32Array, dims: readonly number[]}} map Logits [1, K, rows, columns].
 * @param {import('./letterbox.js').Geometry} geometry Where the picture lies in the letterbox.
 * @returns {Uint8Array} [H * W] of the picture: the class whose logit, interpolated between cells, is the highest.
 */
export function labelMap({ data, dims: [, classes, rows, columns] }, geometry) {
  const { width, height, newWidth, newHeight, targetWidth, targetHeight, left, top } = geometry;
  const pixels = new Uint8Array(width * height);
  const across = cellsOf(width, columns, newWidth / width / targetWidth, left / targetWidth);
  const down = cellsOf(height, rows, newHeight / height / targetHeight, top / targetHeight);
  // Of one row of pixels: logits [columns, K], and the best class of each column.
  const line = new Float32Array(columns * classes);
  const best = new Uint8Array(columns);
  for (let y = 0; y < height; y++) {
    const [above, below, share] = [down.first[y] * columns, down.second[y] * columns, down.share[y]];
    for (let x = 0, to = 0; x < columns; x++) {
      for (let from = x; from < data.length; from += rows * columns) {
        line[to++] = data[from + above] * (1 - share) + data[from + below] * share;
      }
      best[x] = winner(line, x, x, 0, classes);
    }
    for (let x = 0; x < width; x++) {
      const [one, other] = [across.first[x], across.second[x]];
      // The class that wins in both cells wins between them.
      pixels[y * width + x] = best[one] === best[other] ? best[one] : winner(line, one, other, across.share[x], classes);
    }
  }
  return pixels;
}

/** For each pixel the cells around its centre, and the share of the second one. */
function cellsOf(size, cells, scale, offset) {
  const place = (_, i) => Math.min(Math.max(((i + 0.5) * scale + offset) * cells - 0.5, 0), cells - 1);
  const places = Float64Array.from({ length: size }, place);
  return { first: Uint32Array.from(places), second: Uint32Array.from(places, Math.ceil), share: places.map((place) => place % 1) };
}

/** The class with the highest logit between two cells, the first of equal ones. */
function winner(line, one, other, share, classes) {
  let [best, most] = [0, -Infinity];
  for (let k = 0; k < classes; k++) {
    const logit = line[one * classes + k] * (1 - share) + line[other * classes + k] * share;
    if (logit > most) [best, most] = [k, logit];
  }
  return best;
}

/**
 * The classes that are there as `Found`, without boxes: the share of the picture as the score, the largest first.
 * Where one is called background, the picture itself is shown.
 */
export function shares({ counts, width, height }, classes, names) {
  const all = names.map((name, label) => ({ label, name, score: counts[label] / (width * height), clear: /^background$/i.test(name) }));
  return all.filter(({ label, score }) => score && (!classes || classes.includes(label))).sort((a, b) => b.score - a.score);
}
