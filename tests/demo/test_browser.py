"""The page, in a real browser: it finds what Python finds, and asks for nothing elsewhere."""

import json
import sys

import numpy as np
import pytest
from PIL import Image
from stub_segmenter import write_stub

import mbv3zoo
from mbv3zoo.demo.page import write_page


def find_in(page, paths):
    """Chooses pictures in the page, waits for all, and saves what is found: name -> row of the JSON file."""
    page.locator('#choose').set_input_files(list(paths))
    page.wait_for_function(
        "n => document.querySelectorAll('#strip li').length === n && !document.querySelector('#strip .waiting')",
        arg=len(paths),
        timeout=120_000,
    )
    return save(page)


def save(page):
    with page.expect_download() as download:
        page.locator('#save-json').click()
    return {row['path']: row for row in json.loads(download.value.path().read_text(encoding='utf-8'))}


def in_python(detector, path, score_thresh, **options):
    """(width, height) of a picture and what `predict` finds in it."""
    found = detector.predict(path, score_thresh=score_thresh, **options)
    rows = zip(found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True)
    rows = [{'name': found.class_names[label], 'score': score, 'box': box} for box, score, label in rows]
    return found.image_size[::-1], rows


def unmatched(found, others, pixels=1, score=0.01, least=0):
    """Of what one side found, that of at least a score, what the other did not find."""
    return [
        one
        for one in found
        if one['score'] >= least
        and not any(
            other['name'] == one['name']
            and abs(other['score'] - one['score']) <= score
            and np.abs(np.subtract(other['box'], one['box'])).max() <= pixels
            for other in others
        )
    ]


@pytest.fixture
def detector(demo_folder, monkeypatch):
    detector = mbv3zoo.load(demo_folder() / 'model.onnx')
    # Without torchvision, as where only the exported file is used, Pillow resizes pictures.
    monkeypatch.delitem(sys.modules, 'torchvision', raising=False)
    return detector


def test_boxes_in_pictures_of_all_kinds_are_those_of_python(demo_folder, detector, pictures, open_page):
    page = open_page(demo_folder())
    rows = find_in(page, pictures.values())
    assert list(rows) == list(pictures)
    wrong, number = {}, 0
    for name, row in rows.items():
        (width, height), expected = in_python(detector, pictures[name], 0.24)
        number += len(row['detections'])
        # Browsers drop the lower half of 16 bits, where Python rounds.
        score, pixels, least = 0.02 if name == 'sixteen_bit.png' else 0.01, 1, 0
        scale = 320 / max(width, height)
        if name.endswith('.jpg') and name != 'scene.jpg' and scale <= 0.5:
            # Python reads these reduced, which the page imitates: levels differ by up to 3, boxes by half a pixel of
            # the input, and which of two weak boxes is the better one may change.
            score, pixels, least = 0.02, max(1, 0.6 / scale), 0.4
        rest = unmatched(row['detections'], expected, pixels, score, least)
        rest += unmatched(expected, row['detections'], pixels, score, max(least, 0.26))
        if rest or row['error'] or row['image_size'] != {'height': height, 'width': width}:
            wrong[name] = rest or row
    assert wrong == {}
    assert len(rows) >= 20 and number > 100


def test_sliders_and_classes_act_without_a_new_run(demo_folder, detector, pictures, open_page):
    # From the root of a server; other tests are on a sub-path.
    page = open_page(demo_folder(), root=demo_folder())
    page.evaluate("""() => {
      const { postMessage } = Worker.prototype;
      window.runs = 0;
      Worker.prototype.postMessage = function (message, ...rest) {
        window.runs += message.type === 'detect';
        return postMessage.call(this, message, ...rest);
      };
    }""")
    find_in(page, [pictures['large.bmp']])
    counts = []
    for score, iou in ((0.8, 0.45), (0.05, 0.45), (0.05, 0.9), (0.05, 0.1)):
        page.locator('#score').fill(str(score))
        page.locator('#iou').fill(str(iou))
        (row,) = save(page).values()
        _, expected = in_python(detector, pictures['large.bmp'], score, iou_thresh=iou)
        assert unmatched(row['detections'], expected) == [] and len(row['detections']) == len(expected)
        counts.append(page.locator('#table tbody tr').count())
        assert counts[-1] == len(expected)
    assert 0 < counts[0] < counts[3] < counts[1] < counts[2]
    page.get_by_role('checkbox', name='fish').uncheck()
    (row,) = save(page).values()
    names = [one['name'] for one in expected if one['name'] != 'fish']
    assert [one['name'] for one in row['detections']] == names and len(names) < len(expected)
    assert page.evaluate('window.runs') == 1


def test_it_loads_within_seconds_and_from_its_own_folder_alone(demo_folder, pictures, open_page):
    page = open_page(demo_folder())
    page.locator('#webcam:enabled').wait_for()
    # Half a second on two idle cores.
    assert page.evaluate('performance.now()') < 15_000
    row = find_in(page, [pictures['scene.jpg']])['scene.jpg']
    assert {'triangle', 'heart', 'gear', 'crescent', 'fish', 'mug'} <= {one['name'] for one in row['detections']}
    assert all(url.startswith((page.url, 'data:', f'blob:{page.site.address}')) for url in page.watch.asked)
    progress = page.evaluate("""async () => {
      const { Detector } = await import('./detector.js');
      return new Promise((resolve) => {
        let last;
        Detector.load({ onProgress: (part) => (last = part) }).then(() => resolve(last));
      });
    }""")
    sizes = [(demo_folder() / name).stat().st_size for name in ('model.onnx', 'runtime/ort-wasm-simd-threaded.wasm')]
    assert progress == {'loaded': sum(sizes), 'total': sum(sizes)}


def test_requests_to_other_hosts_are_noticed(demo_folder, open_page):
    page = open_page(demo_folder(), 'model.json')
    page.evaluate("""async () => {
      const code = "fetch('http://127.0.0.1:9/worker').catch(() => {}).then(() => postMessage(1))";
      const worker = new Worker(URL.createObjectURL(new Blob([code])));
      await new Promise((resolve) => (worker.onmessage = resolve));
      await fetch('http://127.0.0.1:9/page').catch(() => {});
    }""")
    assert page.watch.elsewhere(page.site.address) == ['http://127.0.0.1:9/worker', 'http://127.0.0.1:9/page']
    assert any('ERR_' in error for error in page.watch.errors)
    page.watch.asked.clear()
    page.watch.errors.clear()


def test_a_segmenter_gives_the_label_map_of_python_its_colours_and_its_shares(pictures, open_page, tmp_path):
    folder = write_page(write_stub(tmp_path / 'stub.onnx'), tmp_path / 'page')
    assert json.loads((folder / 'model.json').read_text())['task'] == 'segmentation'
    expected = mbv3zoo.load(folder / 'model.onnx').predict(pictures['scene.jpg'])
    page = open_page(folder)
    row = find_in(page, [pictures['tiny.png'], pictures['scene.jpg']])['scene.jpg']
    shares = {one['name']: one['share'] for one in row['classes']}
    assert list(row) == list(expected.to_dict()) and list(row['classes'][0]) == ['label', 'name', 'share']
    assert list(shares) == list(expected.areas)
    np.testing.assert_allclose([*shares.values()], [*expected.areas.values()], atol=0.002)
    # Each thing that only detectors have is hidden; another picture's map is made again when it is shown.
    assert [page.locator(f'#{one}').is_visible() for one in ('score', 'iou', 'opacity')] == [False, False, True]
    page.locator('#strip button').nth(1).click()
    page.locator('#save-mask:enabled').wait_for()
    page.get_by_role('checkbox', name='red').uncheck()
    page.locator('#opacity').fill('1')
    saved = {}
    for kind in ('mask', 'picture'):
        with page.expect_download() as download:
            page.locator(f'#save-{kind}').click()
        saved[download.value.suggested_filename] = Image.open(download.value.path())
    mask, drawn = saved['scene_mask.png'], np.asarray(saved['scene_predicted.png'].convert('RGB')).astype(int)
    assert mask.mode == 'P' and (np.asarray(mask) != expected.labels).mean() < 0.01
    expected.save_mask(tmp_path / 'mask.png')
    assert mask.getpalette()[:765] == Image.open(tmp_path / 'mask.png').getpalette()[:765]
    colours = np.asarray(mask.convert('RGB'))
    coloured = np.isin(np.asarray(mask), [2, 3, 4])
    assert (drawn == colours)[coloured].all() and (drawn != colours).any(2)[~coloured].mean() > 0.9
    assert [text.split('\t')[0] for text in page.locator('#table tbody tr').all_inner_texts()] == [
        name for name in shares if name != 'red'
    ]
    # The class under the pointer stands out, and its row.
    page.locator('#boxes').hover(position={'x': 100, 'y': 20})
    assert page.locator('#table .highlight').inner_text().split('\t')[0] == 'none of them'


@pytest.mark.slow
def test_int8_finds_what_it_finds_in_python(demo_folder, pictures, open_page):
    rows = find_in(open_page(demo_folder('int8')), [pictures['large.bmp'], pictures['scene.jpg']])
    detector = mbv3zoo.load(demo_folder('int8') / 'model.onnx')
    for name, row in rows.items():
        _, expected = in_python(detector, pictures[name], 0.1)
        # Processors add products of 8 bits up in different ways.
        assert len(row['detections']) >= 5 and unmatched(row['detections'], expected, 10, 0.1, least=0.35) == []


@pytest.mark.slow
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


@pytest.mark.slow
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
