"""The page's detector in a real browser finds what Python finds, and asks for nothing elsewhere."""

import sys

import numpy as np
import pytest
from PIL import Image

import mbv3zoo

# Reads the files of an input of its own, as the page does, and gives what is found in each at a low threshold.
_DETECT = """async (files) => {
  const { Detector } = await import('./detector.js');
  const { select } = await import('./nms.js');
  const started = performance.now();
  window.progress = [];
  window.detector ??= await Detector.load({ onProgress: (part) => window.progress.push(part) });
  window.loading = performance.now() - started;
  const results = [];
  for (const file of files.files) {
    const result = await window.detector.detect(file);
    const found = select(result, { scoreThresh: 0.24, iouThresh: 0.45, classNames: window.detector.info.class_names });
    results.push({ width: result.width, height: result.height, found, milliseconds: result.milliseconds });
  }
  return results;
}"""


def detect(page, paths):
    """What the modules find in some files, without the page around them."""
    page.evaluate('document.body.insertAdjacentHTML("beforeend", "<input type=file multiple id=files>")')
    files = page.locator('#files')
    files.set_input_files(paths)
    return files.evaluate(_DETECT)


def unmatched(found, others, pixels=1, score=0.01, least=0.25):
    """Of what one side found surely, what the other did not find."""
    rest = []
    for one in found:
        close = [
            other
            for other in others
            if other['name'] == one['name']
            and abs(other['score'] - one['score']) <= score
            and np.abs(np.subtract(other['box'], one['box'])).max() <= pixels
        ]
        if one['score'] > least and not close:
            rest.append(one)
    return rest


def in_python(detector, path):
    """(width, height) of a picture and what `predict` finds in it."""
    # A JPEG file of at least twice the size that is needed would be read reduced, which browsers cannot.
    with Image.open(path) as image:
        found = detector.predict(image if image.format == 'JPEG' else path, score_thresh=0.24)
    rows = zip(found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True)
    rows = [{'name': found.class_names[label], 'score': score, 'box': box} for box, score, label in rows]
    return found.image_size[::-1], rows


def test_boxes_in_pictures_of_all_kinds_are_those_of_python(demo_folder, pictures, open_page, monkeypatch):
    page = open_page(demo_folder(), 'model.json')
    results = dict(zip(pictures, detect(page, list(pictures.values())), strict=True))
    # Without torchvision, as where only the exported file is used, Pillow resizes pictures.
    monkeypatch.delitem(sys.modules, 'torchvision', raising=False)
    detector = mbv3zoo.load(demo_folder() / 'model.onnx')
    wrong, number = {}, 0
    for name, result in results.items():
        size, expected = in_python(detector, pictures[name])
        number += len(expected)
        # Browsers drop the lower half of 16 bits, where Python rounds.
        score = 0.02 if name == 'sixteen_bit.png' else 0.01
        rest = unmatched(result['found'], expected, score=score), unmatched(expected, result['found'], score=score)
        if any(rest) or (result['width'], result['height']) != size:
            wrong[name] = rest
    assert wrong == {}
    assert len(results) >= 20 and number > 100


def test_it_loads_within_seconds_from_its_own_folder(demo_folder, pictures, open_page):
    page = open_page(demo_folder(), 'model.json')
    (result,) = detect(page, [pictures['scene.jpg']])
    assert {'triangle', 'heart', 'gear', 'crescent', 'fish', 'mug'} <= {one['name'] for one in result['found']}
    # 0.6 s on two idle cores.
    assert page.evaluate('window.loading') < 8000
    folder = page.url.removesuffix('model.json')
    assert all(url.startswith(folder) or url.endswith('/favicon.ico') for url in page.watch.asked)
    progress = page.evaluate('window.progress')
    sizes = [(demo_folder() / name).stat().st_size for name in ('model.onnx', 'runtime/ort-wasm-simd-threaded.wasm')]
    assert progress[-1] == {'loaded': sum(sizes), 'total': sum(sizes)}


@pytest.mark.slow
def test_int8_finds_what_it_finds_in_python(demo_folder, pictures, open_page):
    page = open_page(demo_folder('int8'), 'model.json')
    (result,) = detect(page, [pictures['large.bmp']])
    _, expected = in_python(mbv3zoo.load(demo_folder('int8') / 'model.onnx'), pictures['large.bmp'])
    assert len(expected) >= 5 and unmatched(expected, result['found'], pixels=10, score=0.1, least=0.35) == []


LOAD = "import('./detector.js').then(({ Detector }) => Detector.load()).then(() => 'loaded', (error) => error.message)"


@pytest.mark.parametrize(
    'name, fault, sentence',
    [
        ('model.json', 404, 'model.json is not there (HTTP 404); copy the whole folder'),
        ('model.json', b'<!doctype html>', 'model.json is not JSON; write the folder anew'),
        ('model.onnx', b'version https://git-lfs', 'not the model that model.json describes (it has 23 bytes'),
        ('ort.wasm.min.mjs', 404, 'ort.wasm.min.mjs is not there (HTTP 404); copy the whole folder'),
        ('ort.wasm.min.mjs', 'text/plain', 'served as text/plain, not as text/javascript; tell the'),
        ('ort-wasm-simd-threaded.mjs', 'application/octet-stream', 'served as application/octet-stream, not as'),
        ('ort-wasm-simd-threaded.wasm', 403, 'threaded.wasm is not there (HTTP 403)'),
        ('ort-wasm-simd-threaded.wasm', 'text/plain', 'loaded'),
        ('worker.js', 404, 'worker.js did not start'),
        ('letterbox.js', 404, 'worker.js did not start'),
    ],
)
def test_what_is_missing_is_said(name, fault, sentence, demo_folder, open_page):
    page = open_page(demo_folder(), 'model.json')
    page.site.faults[name] = fault
    load = "import('./detector.js').then(({ Detector }) => Detector.load()).then(() => 'loaded', (e) => e.message)"
    assert sentence in page.evaluate(load)
    page.watch.errors.clear()


def test_a_file_that_is_no_picture_is_named_and_the_next_one_is_read(demo_folder, pictures, open_page, tmp_path):
    page = open_page(demo_folder(), 'model.json')
    files = [tmp_path / 'empty.jpg', tmp_path / 'text.jpg', tmp_path / 'cut.png', pictures['tiny.png']]
    files[0].touch()
    files[1].write_text('no picture')
    files[2].write_bytes(pictures['alpha.png'].read_bytes()[:40])
    page.evaluate('document.body.insertAdjacentHTML("beforeend", "<input type=file multiple id=files>")')
    page.locator('#files').set_input_files(files)
    # All at once: they wait for one another.
    results = page.locator('#files').evaluate("""async (input) => {
      const { Detector } = await import('./detector.js');
      const detector = await Detector.load();
      const results = Array.from(input.files, (file) => detector.detect(file));
      return Promise.all(results.map((one) => one.then(({ width }) => width, (error) => error.message)));
    }""")
    assert results[0] == 'empty.jpg is empty; choose another file'
    assert all('cannot be read: it is damaged, too large' in text for text in results[1:3]) and results[3] == 40
