import copy
import io
import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from three_detections import NAMES, three

from mbv3zoo.detections import Detections
from mbv3zoo.detections.found import remember


@pytest.fixture(params=['tensors', 'arrays'])
def found(request):
    return three(path='a.jpg') if request.param == 'tensors' else three(path='a.jpg').numpy()


def test_crops(found):
    pixels = np.random.default_rng(0).integers(0, 256, (100, 120, 3), np.uint8)
    crops = found.crops(pixels)
    assert [crop.size for crop in crops] == [(51, 60), (25, 20), (30, 50)]
    assert np.array_equal(np.asarray(crops[0]), pixels[20:80, 10:61])
    assert found[:0].crops(pixels) == []


@pytest.mark.parametrize(
    ('box', 'expected'),
    [
        ([-5, -5, 3, 4], (0, 0, 3, 4)),
        ([110, 90, 500, 500], (110, 90, 120, 100)),
        ([10, 10, 10, 10], (10, 10, 11, 11)),
        ([120, 100, 120, 100], (119, 99, 120, 100)),
        ([200, 300, 250, 400], (119, 99, 120, 100)),
        ([-20, -20, -10, -10], (0, 0, 1, 1)),
        ([50, 50, 40, 40], (50, 50, 51, 51)),
        ([0.9, 0.9, 2.1, 2.1], (0, 0, 3, 3)),
    ],
)
def test_crops_stay_inside_the_image_and_have_pixels(box, expected):
    pixels = np.arange(100 * 120 * 3, dtype=np.uint32).astype(np.uint8).reshape(100, 120, 3)
    left, top, right, bottom = expected
    (crop,) = Detections([box], [0.5], [0], NAMES, (100, 120)).crops(pixels)
    assert np.array_equal(np.asarray(crop), pixels[top:bottom, left:right])


def test_crops_read_the_path_and_refuse_another_image(tmp_path):
    path = tmp_path / 'a.png'
    Image.new('RGB', (120, 100), (9, 9, 9)).save(path)
    assert three(path=str(path)).crops()[1].getpixel((0, 0)) == (9, 9, 9)
    with pytest.raises(ValueError, match='120 x 100 .* 100 x 120'):
        three().crops(Image.new('RGB', (100, 120)))
    with pytest.raises(ValueError, match='pass the image'):
        three().crops()


def test_repr(found):
    text = 'Detections(3 objects in a.jpg, 100 x 120: 1 cat 0.50, 1 bird 0.75, 1 dog 0.25)'
    assert repr(found) == str(found) == text
    assert repr(found[[0, 0]]) == 'Detections(2 objects in a.jpg, 100 x 120: 2 cat 0.50 0.50)'
    assert repr(found[2]) == 'Detections(1 object in a.jpg, 100 x 120: 1 dog 0.25)'
    assert repr(found[:0]) == 'Detections(0 objects in a.jpg, 100 x 120)'
    assert repr(three(path='/far/away/b.jpg')[:0]) == 'Detections(0 objects in b.jpg, 100 x 120)'
    assert repr(three()[:0]) == 'Detections(0 objects in an image, 100 x 120)'


def test_repr_is_one_short_line_whatever_was_found():
    names = [f'class {i}\n{"x" * 500}' for i in range(80)]
    labels = [0] * 20 + [1] * 3 + list(range(80))
    scores = np.linspace(0.9, 0.2, len(labels))
    path = f'{"long" * 100}.jpg'
    text = repr(Detections(np.zeros((103, 4)), scores, labels, names, (10, 20), path))
    assert text.startswith('Detections(103 objects in longlong') and text.endswith(', 75 more classes)')
    assert '21 class 0 xxx' in text and 'x... 0.90 0.89 0.89 ..., 4 class 1 x' in text
    assert len(text) < 400 and '\n' not in text
    text = repr(Detections.empty(error='cannot read\n' + 'x' * 1000))
    assert text.startswith('Detections(error: cannot read xxx') and len(text) < 250 and '\n' not in text


def test_notebooks_show_the_image_with_its_boxes(tmp_path, found):
    path = tmp_path / 'a.png'
    found = replace(found, path=str(path))
    assert found._repr_png_() is None
    Image.new('RGB', (120, 100)).save(path)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(found._repr_png_()))), np.asarray(found.draw()))
    Image.new('RGB', (50, 50)).save(path)
    assert found._repr_png_() is None
    path.write_bytes(b'not an image')
    assert found._repr_png_() is None and three()._repr_png_() is None
    assert Detections.empty(error='broken')._repr_png_() is None


def test_notebooks_show_large_images_smaller(tmp_path):
    Image.new('RGB', (3000, 1500)).save(tmp_path / 'a.png')
    dets = Detections.empty(NAMES, (1500, 3000), str(tmp_path / 'a.png'))
    assert Image.open(io.BytesIO(dets._repr_png_())).size == (1024, 512)


def test_empty():
    dets = Detections.empty(NAMES, (100, 120), error='broken')
    assert len(dets) == 0 and dets.boxes.shape == (0, 4) and dets.error == 'broken' and dets.names == []
    assert dets.to_coco(1) == [] and dets.to_dict()['detections'] == [] and dets.to_dict()['error'] == 'broken'
    assert len(dets[:5]) == len(dets[torch.zeros(0, dtype=torch.bool)]) == len(list(dets)) == 0
    pixels = np.full((100, 120, 3), 50, np.uint8)
    assert np.array_equal(np.asarray(dets.draw(pixels)), pixels)
    assert len(Detections.empty()) == 0
    assert json.loads(dets.to_json())['detections'] == []


def test_draw_marks_the_box_and_leaves_the_rest():
    pixels = np.full((200, 300, 3), 128, np.uint8)
    dets = Detections(torch.tensor([[50.0, 100, 250, 180]]), [0.5], [1], NAMES, (200, 300))
    drawn = np.asarray(dets.draw(pixels))
    changed = (drawn != 128).any(axis=2)
    assert (pixels == 128).all() and drawn.shape == pixels.shape
    # The four edges, in one colour; the first pixel inside the box is 50, 100, the last 249, 179.
    colour = drawn[179, 150].tolist()
    edges = (drawn[100, 50:250], drawn[179, 50:250], drawn[100:180, 50], drawn[100:180, 249])
    assert all((edge == colour).all() for edge in edges)
    assert not changed[105:175, 55:245].any()
    assert not changed[180:].any() and not changed[:, :50].any() and not changed[:, 250:].any()
    # The caption stands on the box, written in something other than its ground.
    caption = drawn[90:100, 50:70].reshape(-1, 3).astype(int)
    assert changed[90:100, 50:70].all() and np.abs(caption - colour).sum(axis=1).max() > 180


def test_draw_classes_in_different_colours_and_the_surest_on_top():
    def edge_colour(scores, labels):
        boxes = [[50.0, 100, 250, 180]] * len(scores)
        dets = Detections(boxes, scores, labels, NAMES, (200, 300))
        return dets.draw(Image.new('RGB', (300, 200))).getpixel((99, 179))

    alone = [edge_colour([0.5], [label]) for label in range(3)]
    assert len(set(alone)) == 3
    assert edge_colour([0.9, 0.4], [0, 1]) == alone[0] and edge_colour([0.4, 0.9], [0, 1]) == alone[1]


def test_draw_width_grows_with_the_picture():
    widths = []
    for side in (100, 1600):
        dets = Detections([[0.25 * side, 0.25 * side, 0.75 * side, 0.75 * side]], [0.5], [0], NAMES, (side, side))
        column = np.asarray(dets.draw(Image.new('RGB', (side, side))))[side // 2 :, side // 2]
        widths.append(int(column.any(axis=1).sum()))
    assert widths == [1, 5]


@pytest.mark.parametrize('size', [(1, 1), (1, 500), (500, 1), (20, 20), (100, 120)])
def test_draw_boxes_at_and_outside_the_edges(size):
    height, width = size
    boxes = [
        [0, 0, width, height],
        [0, 0, 0, 0],
        [width, height, width, height],
        [-9, -9, width + 9, height + 9],
    ]
    dets = Detections(boxes, [0.9, 0.8, 0.7, 0.6], [0, 1, 2, 0], NAMES, size)
    assert dets.draw(np.zeros((height, width, 3), np.uint8)).size == (width, height)


def test_draw_reads_path_and_turns_it_upright(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    path = tmp_path / 'a.png'
    Image.new('RGB', (100, 120)).save(path, exif=exif)
    drawn = three(path=str(path)).draw()
    assert drawn.size == (120, 100) and drawn.getbbox() is not None
    tensor = torch.zeros(3, 100, 120)
    assert drawn.tobytes() == three().draw(tensor).tobytes() == three().draw(path).tobytes()


def test_draw_without_a_fitting_picture():
    with pytest.raises(ValueError, match=r'draw\(image\)'):
        three().draw()
    with pytest.raises(ValueError, match='120 x 100 .* 100 x 120'):
        three().draw(Image.new('RGB', (100, 120)))


def test_draw_names_the_font_lacks():
    assert three(class_names=('猫', '', 'a\nb')).draw(Image.new('RGB', (120, 100))).getbbox()


@pytest.mark.parametrize('suffix', ['.jpg', '.JPEG', '.png', '.webp', '.bmp', '.tif'])
def test_save_writes_the_drawing_in_the_format_of_the_suffix_over_what_is_there(tmp_path, suffix):
    pixels, path = np.full((100, 120, 3), 128, np.uint8), tmp_path / f'a{suffix}'
    path.write_text('old')
    assert three().save(path, pixels) == path
    saved, drawn = np.asarray(Image.open(path)).astype(int), np.asarray(three().draw(pixels))
    assert np.abs(saved - drawn).mean() < (25 if suffix.lower() in ('.jpg', '.jpeg', '.webp') else 1e-9)
    assert list(tmp_path.iterdir()) == [path]


def test_save_writes_json_without_an_image(tmp_path):
    path = three(path='no such file.jpg').save(str(tmp_path / 'a.json'))
    assert json.loads(path.read_text(encoding='utf-8')) == three(path='no such file.jpg').to_dict()


def test_save_refuses_what_it_cannot_write_and_leaves_the_file_as_it_was(tmp_path):
    for name in ('a.txt', 'a', 'a.gif'):
        with pytest.raises(ValueError, match=r'expected one of \.jpg, .*\.json'):
            three().save(tmp_path / name, np.zeros((100, 120, 3), np.uint8))
    (tmp_path / 'a.png').write_text('old')
    with pytest.raises(ValueError, match='pass the image'):
        three().save(tmp_path / 'a.png')
    assert (tmp_path / 'a.png').read_text() == 'old'
    with pytest.raises(OSError, match='nowhere'):
        three().save(tmp_path / 'nowhere' / 'a.json')


def test_an_image_in_memory_is_shown_and_not_kept_alive():
    pixels = np.zeros((100, 120, 3), np.uint8)
    dets = three()
    remember(dets, pixels)
    for found in (dets, dets[1], dets.filter('cat'), dets.numpy()):
        assert Image.open(io.BytesIO(found._repr_png_())).size == (120, 100) and found.draw().size == (120, 100)
    for copied in (pickle.loads(pickle.dumps(dets)), copy.deepcopy(dets)):
        assert copied.memory is None and copied.rows() == dets.rows()
    del pixels
    assert dets._repr_png_() is not None, 'the image that was given last stays'
    remember(three(), Image.new('RGB', (120, 100)))
    assert dets._repr_png_() is None and len(dets) == 3
