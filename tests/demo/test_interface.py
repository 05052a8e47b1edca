"""What people do on the page: with the mouse, the keyboard, a phone, a screen reader and a webcam."""

import base64
import contextlib
import json
import os
import re
import threading
from pathlib import Path

import numpy as np
import pytest
from browser import Watch, serve
from demo_folders import TOP
from PIL import Image

from mbv3zoo import Detections
from mbv3zoo.images.colours import class_colour, ink_on

_PAGE = TOP / 'mbv3zoo' / 'demo' / 'page'
# Gives files to the page by an event: 'drop' or 'paste'.
_GIVE = """([kind, files]) => {
  const data = new DataTransfer();
  for (const [name, type, text] of files) {
    data.items.add(new File([Uint8Array.from(atob(text), (one) => one.charCodeAt(0))], name, { type }));
  }
  const options = { bubbles: true, cancelable: true, dataTransfer: data, clipboardData: data };
  document.body.dispatchEvent(kind === 'paste' ? new ClipboardEvent(kind, options) : new DragEvent(kind, options));
}"""
_FOCUSED = """() => {
  const one = document.activeElement;
  return [one.id || one.dataset.key || one.className || one.tagName, getComputedStyle(one).outlineStyle];
}"""


@pytest.fixture(scope='module')
def opened(chromium, demo_folder):
    """One page for all tests of this file, as opening one takes as long as many of them."""
    folder = demo_folder()
    with serve(folder.parent) as site, contextlib.closing(chromium.new_context(permissions=['camera'])) as context:
        page = context.new_page()
        page.watch, page.site = Watch(context), site
        page.goto(f'{site.address}{folder.name}/')
        page.locator('#webcam:enabled').wait_for()
        yield page


@pytest.fixture
def page(opened):
    """The page as it is after loading."""
    opened.set_viewport_size({'width': 1280, 'height': 900})
    if opened.locator('#clear').is_visible():
        opened.click('#clear')
    opened.locator('#search').fill('')
    for button in ('#all', '#defaults'):
        opened.click(button)
    opened.locator('[data-key=score]').evaluate('one => one.parentElement.ariaSort !== "descending" && one.click()')
    yield opened
    assert opened.watch.elsewhere(opened.site.address) == [] and opened.watch.errors == []


def choose(page, *paths):
    """Chooses pictures and waits until the first is shown with its boxes, and all are done."""
    page.set_input_files('#choose', list(paths))
    page.locator('#save-picture:enabled').wait_for()
    page.locator('#strip .waiting').first.wait_for(state='detached')


def table_rows(page):
    return [row.split('\t') for row in page.locator('#table tbody tr').all_inner_texts()]


def saved(page, button):
    with page.expect_download() as download:
        page.click(button)
    return download.value


def names_of(page):
    return [
        label.split(',')[0]
        for label in page.locator('#strip button').evaluate_all('all => all.map(one => one.ariaLabel)')
    ]


def give(page, kind, *paths):
    files = [(path.name, 'image/png', base64.b64encode(path.read_bytes()).decode()) for path in paths]
    page.evaluate(_GIVE, [kind, files])


def test_pictures_are_chosen_dropped_and_pasted_and_left_again(page, pictures):
    choose(page, pictures['scene.jpg'], pictures['tiny.png'])
    give(page, 'drop', pictures['grey_alpha.png'])
    give(page, 'paste', pictures['palette.png'])
    page.locator('#strip .waiting').first.wait_for(state='detached')
    assert names_of(page) == ['scene.jpg', 'tiny.png', 'grey_alpha.png', 'palette.png']
    shown = page.locator('#strip [aria-current]')
    assert shown.get_attribute('title') == 'palette.png'
    # The strip is one stop of Tab, with arrows inside.
    assert page.locator('#strip [tabindex="0"]').count() == 1
    shown.focus()
    for key in ('Home', 'ArrowRight', 'Enter'):
        page.keyboard.press(key)
    assert shown.get_attribute('title') == 'tiny.png'
    page.keyboard.press('Delete')
    assert names_of(page) == ['scene.jpg', 'grey_alpha.png', 'palette.png']
    assert shown.get_attribute('title') == 'scene.jpg'
    give(page, 'paste')
    assert page.inner_text('#error').startswith('There is no picture on the clipboard; copy')
    page.keyboard.press('Escape')
    assert page.inner_text('#error') == ''


def test_a_packaged_detector_brings_a_picture_to_begin_with(page):
    page.click('#example')
    page.locator('#save-picture:enabled').wait_for()
    assert {'triangle', 'heart', 'gear', 'crescent'} <= {row[0] for row in table_rows(page)}
    assert not page.locator('#example').is_visible()
    # A dialog that is left without a choice changes nothing.
    page.set_input_files('#choose', [])
    assert len(table_rows(page)) >= 6


def test_what_cannot_be_read_is_said_where_it_is_and_in_the_json(page, pictures, tmp_path):
    (tmp_path / 'notes.txt').write_text('hello')
    choose(page, pictures['scene.jpg'], tmp_path / 'notes.txt')
    assert page.inner_text('#error') == ''
    page.locator('#strip button').nth(1).click()
    assert page.inner_text('#error').startswith('notes.txt (text/plain) cannot be read: ')
    rows = json.loads(saved(page, '#save-json').path().read_text())
    assert [row['path'] for row in rows] == ['scene.jpg', 'notes.txt']
    assert rows[1]['error'] and rows[1]['image_size'] == {'height': 0, 'width': 0} and rows[0]['error'] is None
    page.locator('#strip button').nth(0).click()
    assert page.inner_text('#error') == ''


def test_the_table_the_json_and_the_classes_agree(page, pictures):
    choose(page, pictures['scene.jpg'])
    before = table_rows(page)
    assert [float(row[1]) for row in before] == sorted((float(row[1]) for row in before), reverse=True)
    page.get_by_role('checkbox', name='fish').uncheck()
    rows = table_rows(page)
    assert rows == [row for row in before if row[0] != 'fish'] != before
    assert page.inner_text('#which') == 'Classes (15 of 16)'
    download = saved(page, '#save-json')
    assert download.suggested_filename == 'predictions.json'
    (row,) = json.loads(download.path().read_text())
    assert [
        [one['name'], f'{one["score"]:.2f}', *(str(int(side + 0.5)) for side in one['box'])]
        for one in row['detections']
    ] == rows
    expected = Detections([[1, 2, 3, 4]], [0.5], [0], ('a',), (480, 640), 'scene.jpg').to_dict()
    assert list(row) == list(expected) and list(row['detections'][0]) == list(expected['detections'][0])
    assert row['image_size'] == expected['image_size']
    # The search narrows what All and None change; the score slider shows more of one class at once.
    page.fill('#search', ' FIS ')
    page.click('#all')
    assert table_rows(page) == before and page.inner_text('#which') == 'Classes (16 of 16, 1 match)'
    page.click('[data-key=name]')
    assert [row[0] for row in table_rows(page)] == sorted(row[0] for row in before)
    assert page.locator('[aria-sort]').get_attribute('aria-sort') == 'ascending'


def test_the_saved_picture_is_as_large_as_the_picture_and_has_its_boxes(page, pictures):
    choose(page, pictures['large.bmp'])
    download = saved(page, '#save-picture')
    assert download.suggested_filename == 'large_predicted.png'
    (row,) = json.loads(saved(page, '#save-json').path().read_text())
    with Image.open(download.path()) as image, Image.open(pictures['large.bmp']) as original:
        assert image.format == 'PNG' and image.size == original.size == (960, 720)
        pixels = np.asarray(image.convert('RGB'))
        assert (pixels == np.asarray(original.convert('RGB'))).all(-1).mean() > 0.5
    left, top, right, bottom = row['detections'][0]['box']
    colour = class_colour(row['detections'][0]['label'])
    side = pixels[round((top + bottom) / 2), round(left) : round(left) + 5]
    assert np.abs(side.astype(int) - colour).sum(-1).min() < 30 and right > left


def test_the_keyboard_alone_reaches_and_works_everything(page, pictures):
    choose(page, pictures['scene.jpg'], pictures['tiny.png'])
    page.locator('.skip').focus()
    order, outlines = [], set()
    for _ in range(24):
        name, outline = page.evaluate(_FOCUSED)
        order.append(name)
        # A script's focus has no outline; the label has it for the input of files; after the last stop is the browser.
        if name not in ('skip', 'choose', 'BODY'):
            outlines.add(outline)
        page.keyboard.press('Tab')
    # Scrolling areas are stops, too, in some browsers.
    stops = ['skip', 'choose', 'webcam', 'clear', 'BUTTON', 'defaults', 'score', 'iou', 'save-picture', 'save-json']
    stops += ['name', 'score', '0', '1', '2', '3', 'highlight', 'search', 'all', 'none', 'INPUT', 'A', 'A']
    assert [name for name in order if name in stops][: len(stops)] == stops and outlines == {'solid'}
    page.locator('#score').focus()
    before = len(table_rows(page))
    for _ in range(50):
        page.keyboard.press('ArrowRight')
    assert page.inner_text('#score-value') == '0.75' and 0 < len(table_rows(page)) < before
    page.locator('#table tbody tr').first.focus()
    page.keyboard.press('ArrowDown')
    assert page.locator('#table .highlight').evaluate_all('all => all.map(one => one.rowIndex)') == [2]
    page.keyboard.press('Escape')
    assert page.locator('#table .highlight').count() == 0


def test_pointing_at_an_object_highlights_its_row(page, pictures):
    choose(page, pictures['scene.jpg'])
    (row,) = json.loads(saved(page, '#save-json').path().read_text())
    left, top, right, bottom = row['detections'][1]['box']
    boxes = page.locator('#boxes').bounding_box()
    zoom = min(boxes['width'] / 640, boxes['height'] / 480)
    x, y = (left + right) / 2 * zoom + (boxes['width'] - 640 * zoom) / 2, (top + bottom) / 2 * zoom
    page.mouse.move(boxes['x'] + x, boxes['y'] + y)
    assert page.locator('#table .highlight').inner_text().split('\t')[0] == row['detections'][1]['name']


def test_a_screen_reader_hears_names_of_all_controls_and_what_was_found(page, pictures):
    choose(page, pictures['scene.jpg'], pictures['tiny.png'])
    snapshot = page.locator('body').aria_snapshot()
    controls = re.findall(
        r'- (?:\')?(button|checkbox|slider|combobox|searchbox|textbox|link|img|table)\b(.*)', snapshot
    )
    assert len(controls) > 30 and [one for one in controls if not re.match(r' "[^"]+', one[1])] == []
    for role, name in [('banner', ''), ('main', ''), ('complementary', ' "Results"'), ('region', ' "Found"')]:
        assert f'- {role}{name}:' in snapshot
    assert '- heading "mbv3_yolo_small.synth" [level=1]' in snapshot
    found = page.inner_text('#summary')
    assert re.match(r'\d+ objects: 2 fish, 1 \w+', found)
    assert f'img "scene.jpg: {found[:-1]}"' in snapshot
    page.get_by_role('status').filter(has_text=f'scene.jpg: {found}').wait_for(state='attached')
    assert page.locator('html').get_attribute('lang') == 'en'


def test_a_phone_of_360_pixels_has_no_horizontal_scrolling(page, pictures):
    page.set_viewport_size({'width': 360, 'height': 740})
    choose(page, pictures['huge.jpg'], *[pictures['tiny.png']] * 8)
    page.fill('#score', '0.01')
    assert page.evaluate('document.documentElement.scrollWidth') == 360
    heights = page.locator('button:visible, label.button, input[type=range]:visible').evaluate_all(
        'all => all.map(one => one.getBoundingClientRect().height)'
    )
    assert min(heights) >= 44
    assert page.locator('#rows').evaluate('one => one.scrollWidth <= one.clientWidth')


def test_the_webcam_shows_frames_a_second_and_a_frame_is_kept(page):
    page.click('#webcam')
    page.locator('#fps:not(:empty)').wait_for()
    assert re.fullmatch(r'\d+\.\d frames a second', page.inner_text('#fps')) and page.is_checked('#mirror')
    page.click('#keep')
    page.locator('#clear').wait_for()
    page.keyboard.press('Escape')
    assert page.inner_text('#webcam') == 'Start webcam' and not page.locator('#live').is_visible()
    # The last frame stays, to be saved.
    (row,) = json.loads(saved(page, '#save-json').path().read_text())
    assert row['path'] is None and row['image_size']['width'] >= 640
    assert saved(page, '#save-picture').suggested_filename == 'webcam_predicted.png'


def test_why_there_is_no_webcam_is_said(page):
    page.context.clear_permissions()
    page.click('#webcam')
    page.locator('#error:not(:empty)').wait_for()
    assert page.inner_text('#error').startswith('The webcam was not allowed; allow it')
    page.evaluate("Object.defineProperty(navigator, 'mediaDevices', { value: undefined, configurable: true })")
    page.click('#webcam')
    page.get_by_role('alert').filter(has_text='open this page by https').wait_for()
    page.evaluate('delete navigator.mediaDevices')
    page.context.grant_permissions(['camera'])


def test_the_policy_of_the_page_lets_nothing_be_asked_from_another_host(page, tmp_path):
    with serve(tmp_path) as other:
        ask = """async (address) => {
          const asked = [fetch(address).then(() => 'fetched', () => 'refused')];
          asked.push(new Promise((resolve) => {
            const image = new Image();
            image.onload = () => resolve('loaded');
            image.onerror = () => resolve('refused');
            image.src = address + 'a.png';
          }));
          asked.push(import(address + 'a.js').then(() => 'ran', () => 'refused'));
          return Promise.all(asked);
        }"""
        Image.new('RGB', (1, 1)).save(tmp_path / 'a.png')
        (tmp_path / 'a.js').write_text('')
        assert page.evaluate(ask, other.address) == ['refused'] * 3
        page.watch.asked[:] = [url for url in page.watch.asked if not url.startswith(other.address)]
        page.watch.errors.clear()


def test_class_colours_are_those_of_python(page):
    labels = list(range(220))
    script = """async (labels) => {
      const { classColour, inkOn } = await import('./colours.js');
      return labels.map((label) => [classColour(label), inkOn(classColour(label))]);
    }"""
    expected = [
        [f'#{bytes(colour).hex()}' for colour in (class_colour(one), ink_on(class_colour(one)))] for one in labels
    ]
    assert page.evaluate(script, labels) == expected


def test_from_a_disk_without_a_server_the_page_says_what_to_do(chromium, demo_folder):
    with contextlib.closing(chromium.new_context()) as context:
        page = context.new_page()
        page.goto((demo_folder() / 'index.html').as_uri())
        assert 'python -m http.server' in page.locator('#notice:visible').inner_text()
        assert not page.locator('#choose-label').is_visible()


@pytest.mark.parametrize('count', [pytest.param(1, marks=pytest.mark.slow), 1000])
def test_one_and_a_thousand_classes_can_be_chosen_from(count, open_page, demo_folder, pictures):
    info = json.loads((demo_folder() / 'model.json').read_text())
    info['class_names'] = (info['class_names'] + [f'<b>class</b> {i}' for i in range(1000)])[:count]
    page = open_page(demo_folder(), 'style.css')
    page.site.faults['model.json'] = json.dumps(info).encode()
    page.goto(page.url.replace('style.css', ''))
    choose(page, pictures['scene.jpg'])
    assert page.locator('#class-list input').count() == count
    assert page.inner_text('#which') == f'Classes ({count} of {count})'
    assert page.locator('#search').is_visible() == (count > 1)


def test_pictures_can_be_given_before_the_model_is_described(open_page, demo_folder, pictures, tmp_path):
    (tmp_path / 'not.jpg').write_text('not a picture')
    page = open_page(demo_folder(), 'style.css')
    held, described = [], threading.Event()
    page.route('**/model.json', lambda route: route.continue_() if described.is_set() else held.append(route))
    page.goto(page.url.replace('style.css', ''))
    page.set_input_files('#choose', [tmp_path / 'not.jpg', pictures['scene.jpg']])
    page.locator('#error:text("not.jpg")').wait_for()
    give(page, 'drop', pictures['tiny.png'])
    page.locator('#strip button').nth(1).click()
    page.locator('#score').fill('0.3')
    page.click('#defaults')
    page.keyboard.press('Escape')
    assert page.inner_text('#summary') == 'Detecting …'
    described.set()
    for route in held:
        route.continue_()
    page.locator('#save-picture:enabled').wait_for()
    page.locator('#strip .waiting').first.wait_for(state='detached')
    info = json.loads((demo_folder() / 'model.json').read_text())
    assert float(page.input_value('#score')) == pytest.approx(info['score_thresh'], abs=0.01)
    assert len(table_rows(page)) > 0


def test_without_a_model_every_picture_says_so(open_page, demo_folder, pictures):
    page = open_page(demo_folder(), 'style.css')
    page.site.faults['model.onnx'] = 404
    page.goto(page.url.replace('style.css', ''))
    page.locator('#summary:text("The model did not load.")').wait_for()
    page.set_input_files('#choose', [pictures['scene.jpg'], pictures['tiny.png']])
    page.locator('#strip .failed').nth(1).wait_for()
    for picture in (0, 1):
        page.locator('#strip button').nth(picture).click()
        assert 'model.onnx is not there (HTTP 404)' in page.inner_text('#error')
        assert page.inner_text('#summary') == 'The model did not load.'
    page.watch.errors.clear()


def _contrast(one, other):
    def luminance(colour):
        shares = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
        return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722)

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize('theme', [0, 1], ids=['light', 'dark'])
def test_contrasts_are_those_of_wcag_aa(theme):
    blocks = re.findall(r':root \{(.*?)\}', (_PAGE / 'style.css').read_text(), re.DOTALL)
    colours = dict(re.findall(r'--([\w-]+): (#\w{6});', blocks[theme]))
    grounds = ['paper', 'card', 'mark', 'stage']
    texts = [(ink, ground) for ink in ('ink', 'soft') for ground in grounds]
    texts += [
        ('accent', 'card'),
        ('accent', 'paper'),
        ('on-accent', 'accent'),
        ('error', 'error-paper'),
        ('error', 'card'),
    ]
    low = {pair: _contrast(*map(colours.get, pair)) for pair in texts}
    # Of borders of controls and of the focus.
    lines = {
        pair: _contrast(*map(colours.get, pair)) for pair in [('edge', 'card'), ('edge', 'stage'), ('accent', 'stage')]
    }
    assert min(low.values()) >= 4.5 and min(lines.values()) >= 3


def test_screenshots_in_light_dark_and_on_a_phone_show_the_picture_with_its_boxes(page, pictures, tmp_path):
    # To look at them: MBV3ZOO_SCREENSHOTS=folder pytest tests/demo/test_interface.py
    folder = Path(os.environ.get('MBV3ZOO_SCREENSHOTS') or tmp_path)
    folder.mkdir(exist_ok=True)
    choose(page, pictures['scene.jpg'])
    shown = {}
    for name, scheme, width in (('light', 'light', 1280), ('dark', 'dark', 1280), ('phone', 'light', 360)):
        page.set_viewport_size({'width': width, 'height': 900})
        page.emulate_media(color_scheme=scheme, reduced_motion='reduce')
        page.screenshot(path=folder / f'{name}.png', full_page=True)
        shown[name] = np.asarray(Image.open(folder / f'{name}.png').convert('RGB')).astype(int)
    page.emulate_media(color_scheme='light', reduced_motion='no-preference')
    triangle = class_colour(
        page.evaluate("async () => (await (await fetch('model.json')).json()).class_names.indexOf('triangle')")
    )
    for name, pixels in shown.items():
        assert (np.abs(pixels - triangle).max(2) < 3).sum() > 500, name
    assert shown['light'][2, 2].min() > 200 and shown['dark'][2, 2].max() < 60 and shown['phone'].shape[1] == 360
