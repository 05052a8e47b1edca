// Finds objects in a picture with a file of `mbv3zoo export`, in Node.js: node detect.js model.onnx picture.jpg
import { readFileSync } from 'node:fs';
import ort from 'onnxruntime-node';
import sharp from 'sharp';
// In your project: copies of the three files, which need nothing else. `mbv3zoo demo` writes them beside its page too.
import { decode } from '../../mbv3zoo/demo/page/decode.js';
import { fit, letterbox, toOriginal } from '../../mbv3zoo/demo/page/letterbox.js';
import { select } from '../../mbv3zoo/demo/page/nms.js';

const SCORE_THRESH = 0.25;
const IOU_THRESH = 0.45;

/**
 * What the file says about itself: class names, anchors, strides, image size. ONNX Runtime reads it in Python and C++,
 * but not in JavaScript; it is in the file's field 14, a list of keys and values.
 *
 * @param {Buffer} file An ONNX file, which is one message of Protocol Buffers.
 * @returns {object} The record under the key mbv3zoo.
 */
function readRecord(file) {
  for (const [number, entry] of fields(file)) {
    if (number !== 14) continue;
    const { 1: key, 2: value } = Object.fromEntries(fields(entry));
    if (String(key) === 'mbv3zoo') return JSON.parse(String(value));
  }
  throw new Error('the file has no record of mbv3zoo; write it with mbv3zoo export');
}

/** Numbers and bytes of the fields of a message that have a length; those that hold a number are passed over. */
function* fields(message) {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 1; at < message.length; shift *= 128) {
      const byte = message[at++];
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
    throw new Error('this is no ONNX file');
  };
  while (at < message.length) {
    const tag = varint();
    const kind = tag & 7;
    if (kind === 0) varint();
    else if (kind === 1) at += 8;
    else if (kind === 5) at += 4;
    else if (kind === 2) {
      const length = varint();
      yield [tag >> 3, message.subarray(at, (at += length))];
    } else throw new Error('this is no ONNX file');
  }
}

/**
 * @param {ort.InferenceSession} session The open file.
 * @param {object} record What the file says about itself.
 * @param {string | Buffer} picture Path or bytes of a picture.
 * @returns {Promise<object[]>} Label, name, score and box [x1, y1, x2, y2] in pixels of each object, best first.
 */
async function detect(session, record, picture) {
  // Turned as its EXIF says, in RGBA.
  const pixels = sharp(picture).rotate().toColourspace('srgb').ensureAlpha().raw();
  const { data, info } = await pixels.toBuffer({ resolveWithObject: true });
  const geometry = fit(info.width, info.height, record.image_size);
  const planes = letterbox(data, info.width, info.height, geometry);
  const images = new ort.Tensor('uint8', planes, [1, 3, ...record.image_size]);
  const outputs = await session.run({ images });
  const maps = record.strides.map((stride) => outputs[`map${stride}`]);
  const candidates = decode(maps, record, SCORE_THRESH);
  // Maps that need no NMS: no IoU is above 1.
  const iouThresh = record.nms === false ? 1 : IOU_THRESH;
  const options = { scoreThresh: SCORE_THRESH, iouThresh, classNames: record.class_names };
  return select(candidates, options).map((found) => ({ ...found, box: toOriginal(found.box, geometry) }));
}

try {
  const [model, picture] = process.argv.slice(2);
  if (!picture) throw new Error('usage: node detect.js model.onnx picture.jpg');
  const record = readRecord(readFileSync(model));
  if (record.outputs !== 'maps') throw new Error(`${model} has NMS inside; export it without --nms`);
  const session = await ort.InferenceSession.create(model);
  const rows = (await detect(session, record, picture)).map((found) => JSON.stringify(found));
  console.log(`[\n${rows.join(',\n')}\n]`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
