/**
 * Boxes with captions on a canvas, the captions where they hide least: the rules of `mbv3zoo.images.captions` in Python.
 *
 * @typedef {import('./nms.js').Found} Found
 */
import { channels, classColour, inkOn } from './colours.js';

/** Space around a caption's text, in pixels of the canvas, per pixel of the font. */
const PAD = 0.25;
/** Cost of hiding another caption, another box, the own box; and of each place after the first. */
const COSTS = { caption: 4, other: 2, own: 1, step: 0.02 };

/**
 * @param {CanvasRenderingContext2D} context Where; its transform is the identity.
 * @param {Found[]} found Best first, which is drawn last.
 * @param {object} options
 * @param {(box: number[]) => number[]} options.place Box in pixels of the picture -> in pixels of the canvas.
 * @param {number} options.lineWidth In pixels of the canvas.
 * @param {number} options.fontSize In pixels of the canvas.
 * @param {number} [options.highlight] Index of the object that stands out; the others fade.
 */
export function drawBoxes(context, found, { place, lineWidth, fontSize, highlight = -1 }) {
  const boxes = found.map(({ box }) => place(box));
  context.font = `600 ${fontSize}px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif`;
  context.textBaseline = 'middle';
  const height = Math.round(fontSize * (1 + 2 * PAD));
  const texts = found.map((one) => fitted(context, `${one.name} ${one.score.toFixed(2)}`, context.canvas.width - 2 * PAD * fontSize));
  const sizes = texts.map((text) => [Math.ceil(context.measureText(text).width + 2 * PAD * fontSize), height]);
  const places = placeCaptions(boxes, sizes, [context.canvas.width, context.canvas.height]);
  // The best, then the one that stands out, on top.
  const order = found.map((_, index) => index).reverse();
  if (highlight >= 0) order.push(...order.splice(order.indexOf(highlight), 1));
  for (const part of [outline, caption]) {
    for (const index of order) {
      context.globalAlpha = highlight < 0 || index === highlight ? 1 : 0.25;
      part(index);
    }
  }
  context.globalAlpha = 1;

  function outline(index) {
    const [left, top, right, bottom] = boxes[index];
    context.strokeStyle = classColour(found[index].label);
    const width = Math.min(index === highlight ? 2 * lineWidth : lineWidth, right - left, bottom - top) || 1;
    context.lineWidth = width;
    // The line lies inside the box.
    context.strokeRect(left + width / 2, top + width / 2, Math.max(0, right - left - width), Math.max(0, bottom - top - width));
  }

  function caption(index) {
    const [left, top] = places[index];
    const colour = classColour(found[index].label);
    context.fillStyle = colour;
    context.fillRect(left, top, ...sizes[index]);
    context.fillStyle = inkOn(colour);
    context.fillText(texts[index], left + PAD * fontSize, top + height / 2 + fontSize * 0.05);
  }
}

/** The colours of a label map, to be drawn over its picture: a canvas of its own size, or of `size` = [width, height]. */
export function colourMap({ pixels, width, height }, found, { opacity, highlight = -1, size: [wide, high] = [width, height] }) {
  // Each as one number: blue, green, red from the second byte on, and the opacity first.
  const colours = new Uint32Array(256);
  found.forEach(({ label, clear }, index) => {
    const [red, green, blue] = channels(classColour(label));
    const alpha = Math.round(255 * opacity * (highlight < 0 || index === highlight ? 1 : 0.25));
    colours[label] = clear ? 0 : (alpha << 24) | (blue << 16) | (green << 8) | red;
  });
  const columns = Uint32Array.from({ length: wide }, (_, x) => ((x + 0.5) * width) / wide);
  const rows = Uint32Array.from({ length: high }, (_, y) => ((y + 0.5) * height) / high);
  const image = new ImageData(wide, high);
  const out = new Uint32Array(image.data.buffer);
  rows.forEach((row, y) => columns.forEach((column, x) => (out[y * wide + x] = colours[pixels[row * width + column]])));
  const canvas = new OffscreenCanvas(wide, high);
  canvas.getContext('2d').putImageData(image, 0, 0);
  return canvas;
}

/** A caption in at most so many pixels: with less of its name; the score stays. */
function fitted(context, text, width) {
  const at = text.lastIndexOf(' ');
  let name = [...text.slice(0, at)];
  while (name.length && context.measureText(text).width > width) {
    name = name.slice(0, -1);
    text = `${name.join('').trimEnd()}…${text.slice(text.lastIndexOf(' '))}`;
  }
  return text;
}

/**
 * @param {number[][]} boxes [x1, y1, x2, y2] in pixels of the canvas, the best first, which chooses first.
 * @param {number[][]} sizes [width, height] of each caption.
 * @param {number[]} canvas [width, height].
 * @returns {number[][]} [left, top] of each caption.
 */
export function placeCaptions(boxes, sizes, canvas) {
  const taken = [];
  return boxes.map((box, index) => {
    const [width, height] = sizes[index];
    let best;
    let least = Infinity;
    corners(box, width, height).forEach(([x, y], step) => {
      const left = Math.min(Math.max(0, Math.round(x)), Math.max(0, canvas[0] - width));
      const top = Math.min(Math.max(0, Math.round(y)), Math.max(0, canvas[1] - height));
      const own = [left, top, left + width, top + height];
      let cost = COSTS.step * step;
      for (const other of taken) cost += (COSTS.caption * overlap(own, other)) / (width * height);
      for (let i = 0; i < boxes.length && cost < least; i++) {
        cost += ((i === index ? COSTS.own : COSTS.other) * overlap(own, boxes[i])) / Math.max(1, area(boxes[i]));
      }
      if (cost < least) [least, best] = [cost, own];
    });
    taken.push(best);
    return best.slice(0, 2);
  });
}

/** Left and top of a caption's places, the most usual first. */
function corners([left, top, right, bottom], width, height) {
  return [
    [left, top - height],
    [right - width, top - height],
    [left, bottom],
    [right - width, bottom],
    [left, top],
    [right - width, top],
    [left, bottom - height],
    [right - width, bottom - height],
    [right, top],
    [left - width, top],
    [right, bottom - height],
    [left - width, bottom - height],
  ];
}

function area([left, top, right, bottom]) {
  return Math.max(0, right - left) * Math.max(0, bottom - top);
}

function overlap(a, b) {
  return Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0])) * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
}
