/** Sentences of the page. */

/** @param {string} text @returns {string} As a sentence; names of files, which have dots and more, stay as they are. */
export function sentence(text) {
  const trimmed = text.trim();
  const first = /^[a-z]+\s/.test(trimmed) ? trimmed.charAt(0).toUpperCase() : trimmed.charAt(0);
  return first + trimmed.slice(1) + (/[.!?…]$/.test(trimmed) ? '' : '.');
}

/** @param {number} share In 0..1. @returns {string} '12.5%'. */
export const percent = (share) => (share < 0.0005 ? '<0.1%' : `${(100 * share).toFixed(1)}%`);

/** How many objects there are of each class, by its name or label; of a segmenter which share of the picture it has. */
export function tally(found, key) {
  const counts = new Map();
  for (const one of found) counts.set(one[key], one.box ? (counts.get(one[key]) ?? 0) + 1 : percent(one.score));
  return counts;
}

/**
 * @param {import('./nms.js').Found[]} found
 * @param {[string, string]} [words] What they are: of one and of several.
 * @param {number} [most] Classes that are named, the most frequent first.
 * @returns {string} '3 objects: 2 fish, 1 ring'; of a segmenter '2 classes: 93.0% sea, 7.0% fish'.
 */
export function summary(found, [one, several] = ['object', 'objects'], most = 6) {
  if (!found.length) return `No ${several}`;
  const counts = tally(found, 'name');
  const sorted = [...counts].sort((a, b) => b[1] - a[1]);
  const named = sorted.slice(0, most).map(([name, count]) => `${count} ${name}`);
  const more = sorted.length - named.length;
  if (more > 0) named.push(`${more} more class${more === 1 ? '' : 'es'}`);
  return `${found.length} ${found.length === 1 ? one : several}: ${named.join(', ')}`;
}

/** @param {{prepare: number, run: number, decode: number, total: number}} milliseconds @returns {string} */
export function times({ prepare, run, decode, total }) {
  const round = (value) => (value < 9.95 ? value.toFixed(1) : value.toFixed(0));
  return `${round(total)} ms: prepare ${round(prepare)}, run ${round(run)}, decode ${round(decode)}`;
}

/** @param {number} bytes @returns {string} */
export function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/**
 * @param {object} info Of model.json.
 * @param {number} threads That run the model.
 * @returns {[string, string][]} What the page says about the model.
 */
export function facts(info, threads) {
  const [height, width] = info.image_size;
  const classes = info.class_names.length;
  const known = [
    ['Name', info.name],
    ['Input', `${width} × ${height} pixels`],
    ['Classes', String(classes)],
    ['Precision', info.precision],
    ['File', info.bytes && megabytes(info.bytes)],
    ['Licence', [info.license ?? info.licenses ?? ''].flat().join(', ')],
    ['Written by', info.mbv3zoo && `mbv3zoo ${info.mbv3zoo}`],
    ['Threads', threads ? String(threads) : ''],
  ];
  return known.filter(([, value]) => value);
}
