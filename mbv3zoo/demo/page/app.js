/** The page: what happens when. */
import { ClassFilter } from './classes.js';
import { Detector, readPicture } from './detector.js';
import { takeFiles } from './files.js';
import { labelMap, shares } from './labels.js';
import { LiveView } from './live.js';
import { select } from './nms.js';
import { download, toJson, toMask, toPicture, toRow } from './save.js';
import { Stage } from './stage.js';
import { Strip } from './strip.js';
import { FoundTable } from './table.js';
import { facts, megabytes, sentence, summary, tally, times } from './words.js';

const SLIDERS = ['score', 'iou', 'opacity'];
const part = (id) => document.getElementById(id);
const stage = new Stage(part('stage'), highlight);
const table = new FoundTable(part('table'), highlight);
const strip = new Strip(part('strip'), choose, removed);
const live = new LiveView(part('live'), { onFrame: showFrame, onStop: stopped, onKeep: (file) => add([file]), onError: tell });

let detector = null;
/** Why the model did not load: then no picture can be read. */
let broken = null;
let info = null;
let filter = null;
/** What is shown: a picture of the strip, or a frame of the webcam; with `bitmap`, its pixels, once they are read. */
let current = null;
let found = [];
let working = false;
let announcing;

takeFiles({ input: part('choose'), target: part('stage') }, (files) => choose(add(files)), tell);
for (const id of SLIDERS) part(id).addEventListener('input', render);
part('defaults').addEventListener('click', () => (setDefaults(), render()));
part('clear').addEventListener('click', () => (strip.clear(), choose(null), part('choose').focus()));
part('save-json').addEventListener('click', saveJson);
part('save-picture').addEventListener('click', () => savePicture('predicted', () => toPicture(current.bitmap, found, mapOf(current))));
part('save-mask').addEventListener('click', () => savePicture('mask', () => toMask(current.detected)));
part('webcam').addEventListener('click', () => (live.running ? live.stop() : startWebcam()));
part('example').addEventListener('click', addExample);
addEventListener('keydown', (event) => {
  if (event.key !== 'Escape') return;
  tell('');
  highlight(-1);
  live.stop();
});
start();

async function start() {
  part('loading').hidden = false;
  try {
    const response = await fetch('model.json', { cache: 'no-cache' });
    if (response.ok) describe(await response.json());
    detector = await Detector.load({ onProgress: showProgress });
    describe(detector.info);
  } catch (error) {
    broken = error;
    tell(error.message);
    work();
    return;
  } finally {
    part('loading').hidden = true;
  }
  part('webcam').disabled = false;
  announce('The model is loaded.');
  work();
}

/** Shows what is known about the model. */
function describe(model) {
  if (!info) {
    info = model;
    document.body.dataset.task = info.task ?? 'detection';
    filter = new ClassFilter(part('classes'), info.class_names, render);
    setDefaults();
  }
  part('title').textContent = document.title = info.title || info.name || 'Object detector';
  showButtons();
  const lines = facts(info, detector?.threads).flatMap(([name, value]) => {
    const [term, text] = [document.createElement('dt'), document.createElement('dd')];
    term.textContent = name;
    text.textContent = value;
    return [term, text];
  });
  part('facts').replaceChildren(...lines);
}

function showButtons() {
  const some = strip.pictures.length > 0;
  part('clear').hidden = !some;
  part('example').hidden = some || !info?.example;
}

function setDefaults() {
  part('score').value = info?.score_thresh ?? 0.25;
  part('iou').value = info?.iou_thresh ?? 0.45;
  part('opacity').value = 0.5;
  showValues();
}

function showValues() {
  for (const id of SLIDERS) part(`${id}-value`).textContent = Number(part(id).value).toFixed(2);
}

function showProgress({ loaded, total }) {
  part('progress').value = loaded / total;
  part('loading-text').textContent = `Loading the model: ${megabytes(loaded)} of ${megabytes(total)}`;
}

/** Adds pictures to the strip; returns the first. */
function add(files) {
  tell('');
  const pictures = files.map((file) => strip.add(file));
  showButtons();
  work();
  return pictures[0];
}

async function addExample() {
  const response = await fetch(info.example).catch(() => null);
  if (!response?.ok) return tell(`${info.example} is not there; copy the whole folder that mbv3zoo demo wrote`);
  const blob = await response.blob();
  choose(add([new File([blob], info.example.split('/').pop(), { type: blob.type })]));
}

/** Shows a picture of the strip, or nothing. */
async function choose(picture) {
  live.stop();
  tell('');
  release(current);
  current = picture ?? null;
  strip.mark(current);
  showButtons();
  stage.show(null);
  render();
  if (!picture || picture.error) return;
  try {
    const bitmap = await readPicture(picture.file);
    if (current !== picture || picture.bitmap) return bitmap.close();
    picture.bitmap = bitmap;
    stage.show(bitmap);
  } catch (error) {
    fail(picture, error);
  }
  if (current === picture) render();
}

/** Frees the pixels of a picture that is not shown. */
function release(picture) {
  picture?.bitmap?.close();
  if (picture) picture.bitmap = null;
  if (picture?.detected) picture.detected.pixels = null;
}

function removed(picture) {
  if (picture === current) choose(strip.pictures[0]);
}

function fail(picture, error) {
  picture.error ??= error.message;
  strip.tell(picture, 'not read');
}

/** Runs the model on all pictures that wait, the one that is shown first. */
async function work() {
  const waits = (picture) => picture && !picture.detected && !picture.error;
  if (broken) {
    for (const picture of strip.pictures.filter(waits)) fail(picture, broken);
    render();
  }
  if (working || !detector) return;
  working = true;
  for (;;) {
    const picture = strip.pictures.includes(current) && waits(current) ? current : strip.pictures.find(waits);
    if (!picture) break;
    try {
      picture.detected = await detector.detect(picture.file);
      if (picture !== current) release(picture);
      strip.tell(picture, told(findIn(picture)));
    } catch (error) {
      fail(picture, error);
    }
    if (picture === current) render();
  }
  working = false;
}

/** What is found by the thresholds and classes that are set. */
function findIn({ detected }, classes = filter?.chosen) {
  // Before the model is read, there is no filter, and nothing is detected.
  if (!detected) return [];
  if (detected.map) return shares(detected, classes, info.class_names);
  const [scoreThresh, iouThresh] = [Number(part('score').value), Number(part('iou').value)];
  return select(detected, { scoreThresh, iouThresh, maxDetections: info.max_detections ?? 300, classes, classNames: info.class_names });
}

/** Of a segmenter the class of every pixel of a picture that is shown. */
function mapOf(picture) {
  const { detected, bitmap } = picture ?? {};
  if (!detected?.map || !bitmap) return null;
  detected.pixels ??= labelMap(detected.map, detected.geometry);
  return { ...detected, opacity: Number(part('opacity').value) };
}

const told = (found) => summary(found, info?.task === 'segmentation' ? ['class', 'classes'] : ['object', 'objects']);

/** Shows what is found; the model does not run. */
function render() {
  showValues();
  found = current ? findIn(current) : [];
  const waiting = current && !current.detected && !current.error;
  const text = broken ? 'The model did not load' : current?.error ? 'Not read' : waiting ? 'Detecting' : told(found);
  stage.setFound(found, current ? `${current.name ?? 'Webcam'}: ${text}` : 'No picture yet', mapOf(current));
  table.show(found);
  filter?.setCounts(tally(current ? findIn(current, null) : [], 'label'));
  part('summary').textContent = current || broken ? sentence(waiting ? `${text} …` : text) : 'No picture yet.';
  part('times').textContent = current?.detected ? times(current.detected.milliseconds) : '';
  part('busy').hidden = !waiting || !detector;
  part('save-json').disabled = !current?.detected && !current?.error;
  for (const id of ['save-picture', 'save-mask']) part(id).disabled = !current?.detected || !current.bitmap;
  if (current?.error) tell(current.error);
  if (current && !waiting && !live.running) announce(sentence(`${current.name ?? 'Webcam'}: ${text}`));
}

function highlight(index) {
  stage.setHighlight(index);
  table.setHighlight(index);
}

async function startWebcam() {
  tell('');
  part('webcam').disabled = true;
  const runs = await live.start(detector);
  part('webcam').disabled = false;
  part('webcam').focus();
  if (!runs) return;
  part('webcam').textContent = 'Stop webcam';
  strip.mark(null);
}

function showFrame(frame) {
  if (current !== frame) release(current);
  current = frame;
  stage.show(frame.bitmap, { mirrored: live.mirrored });
  render();
}

/** The last frame stays, to be saved. */
function stopped() {
  part('webcam').textContent = 'Start webcam';
  render();
}

/** Of all pictures that are done, or of the frame that is shown. */
function saveJson() {
  const pictures = strip.pictures.includes(current) ? strip.pictures.filter((one) => one.detected || one.error) : [current];
  download(toJson(pictures.map((picture) => toRow(picture, findIn(picture)))), 'predictions.json');
}

async function savePicture(kind, write) {
  try {
    const stem = (current.name ?? 'webcam').replace(/\.[^.]*$/, '');
    download(await write(), `${stem}_${kind}.png`);
  } catch (error) {
    tell(error.message);
  }
}

/** Shows an error; an empty text takes it away. */
function tell(message) {
  const text = message ? sentence(message) : '';
  if (part('error').textContent !== text) part('error').textContent = text;
}

/** Tells screen readers, when there was nothing newer for a while: sliders change things many times a second. */
function announce(text) {
  clearTimeout(announcing);
  announcing = setTimeout(() => (part('status').textContent = text), 500);
}
