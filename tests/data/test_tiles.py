import numpy as np
import pytest
import torch
from PIL import Image

from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.pictures import Pictures
from mbv3zoo.data.records import Record, Tile
from mbv3zoo.data.tiles import cut_into_tiles
from mbv3zoo.images import regions
from mbv3zoo.images.tiles import Slicing, tile_starts

NAMES = ('a', 'b')


def record(path, size, boxes, labels=None, number=1):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    labels = torch.zeros(len(boxes), dtype=torch.int64) if labels is None else torch.tensor(labels)
    return Record(path, size, boxes, labels, boxes[:, 0] * 0 + 1, torch.zeros(len(boxes), dtype=torch.bool), number)


def plain_tiles(data, slicing):
    """Tile by tile and box by box: (path, tile, size, boxes with labels)."""
    tall, wide = slicing.size
    found = []
    for own in data.records:
        height, width = own.size
        windows = [
            (top, left, min(tall, height), min(wide, width))
            for top in tile_starts(height, tall, slicing.overlap)
            for left in tile_starts(width, wide, slicing.overlap)
        ]
        if slicing.whole and len(windows) > 1:
            windows.append((0, 0, height, width))
        for top, left, rows, columns in windows:
            boxes = []
            for (x1, y1, x2, y2), label in zip(own.boxes.tolist(), own.labels.tolist(), strict=True):
                clipped = [max(x1 - left, 0), max(y1 - top, 0), min(x2 - left, columns), min(y2 - top, rows)]
                w, h = clipped[2] - clipped[0], clipped[3] - clipped[1]
                if w >= 2 and h >= 2 and w * h >= 0.1 * (x2 - x1) * (y2 - y1):
                    boxes.append(([round(side, 3) for side in clipped], label))
            found.append((own.path, (top, left, own.size), (rows, columns), boxes))
    return found


def rows_of(tiles):
    rows = []
    for own in tiles.records:
        boxes = [([round(side, 3) for side in box.tolist()], int(own.labels[i])) for i, box in enumerate(own.boxes)]
        rows.append((own.path, tuple(own.tile), own.size, boxes))
    return rows


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder, rng, records = tmp_path_factory.mktemp('large'), np.random.default_rng(0), []
    for number, size in enumerate([(300, 420), (100, 90), (128, 128), (500, 100)]):
        height, width = size
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(folder / f'{number}.tif')
        corners = rng.uniform(0, 1, (12 if number != 3 else 0, 2)) * [width - 30, height - 30]
        boxes = np.concatenate([corners, corners + rng.uniform(3, 30, corners.shape)], 1)
        records.append(record(folder / f'{number}.tif', size, boxes, rng.integers(0, 2, len(boxes)), number))
    return DetectionSet(records, NAMES)


@pytest.mark.parametrize('slicing', [
    Slicing((128, 128), 0.2, True), Slicing((128, 96), 0.0, False), Slicing((128, 128), 0.9, True),
    Slicing((4000, 4000), 0.2, True),
])  # fmt: skip
def test_tiles_are_those_of_a_plain_loop(data, slicing):
    tiles = cut_into_tiles(data, slicing)
    expected = plain_tiles(data, slicing)
    filled = [row for row in expected if row[3]]
    assert [row for row in rows_of(tiles) if row[3]] == filled
    empty = [row for row in rows_of(tiles) if not row[3]]
    assert all(row in expected for row in empty)
    assert len(empty) == min(len(filled), len(expected) - len(filled))
    assert tiles.class_names == NAMES and len({own.image_id for own in tiles.records}) == len(tiles)


def test_the_tiles_without_objects_are_drawn_by_the_seed(data):
    slicing = Slicing((64, 64), 0.2, False)
    one, same, other = (rows_of(cut_into_tiles(data, slicing, seed)) for seed in (0, 0, 1))
    assert one == same != other and len(one) == len(other)


def test_a_set_without_objects_or_images():
    blank = DetectionSet([record('x.png', (300, 300), [])], NAMES)
    assert len(cut_into_tiles(blank, Slicing((100, 100), 0.0, False))) == 1
    tiny = DetectionSet([record('x.png', (300, 300), [[10, 10, 11.5, 30]])], NAMES)
    assert not len(cut_into_tiles(tiny, Slicing((100, 100), 0.0, False)).records.labels)


@pytest.mark.parametrize('cache', ['no', 'memory', 'disk'])
@pytest.mark.parametrize('by_region', [False, True])
def test_pixels_are_those_of_the_tile(data, tmp_path, monkeypatch, cache, by_region):
    if by_region:
        pytest.importorskip('rasterio')
        monkeypatch.setattr(regions, 'MANY_PIXELS', 0)
    tiles = cut_into_tiles(data, Slicing((128, 96), 0.2, True))
    reads = []
    for _ in range(2):
        pictures = Pictures(tiles.records, 128, cache, tmp_path)
        for i in torch.randperm(len(tiles)).tolist():
            own = tiles.records[i]
            with Image.open(own.path) as image:
                top, left = own.tile.top, own.tile.left
                box = (left, top, left + own.size[1], top + own.size[0])
                expected = np.asarray(image.crop(box)).transpose(2, 0, 1)
            pixels = pictures[i]
            if max(own.size) <= 128:
                assert np.array_equal(pixels.numpy(), expected)
            else:
                assert tuple(pixels.shape[1:]) == pictures.size(i) and max(pixels.shape) == 128
            reads.append(pixels)


def test_a_file_is_decoded_once_for_all_its_tiles_where_they_are_kept(data, monkeypatch):
    from mbv3zoo.data import pictures as module

    read, real = [], module.read_image
    monkeypatch.setattr(module, 'read_image', lambda path, *args: read.append(path) or real(path, *args))
    tiles = cut_into_tiles(data, Slicing((128, 128), 0.2, True))
    pictures = Pictures(tiles.records, 128, 'memory')
    for i in range(len(tiles)):
        pictures[i]
    assert len(read) == len(set(read)) == len({own.path for own in tiles.records})


def test_a_damaged_file_is_empty_tiles_and_a_missing_one_an_error(tmp_path):
    path = tmp_path / 'a.tif'
    Image.new('RGB', (300, 300)).save(path)
    data = DetectionSet([record(path, (300, 300), [[5, 5, 40, 40]])], NAMES)
    tiles = cut_into_tiles(data, Slicing((200, 200), 0.2, True))
    path.write_bytes(path.read_bytes()[:200])
    for cache in ('no', 'memory'):
        with pytest.warns(UserWarning, match=r'a\.tif.*taken as an empty picture'):
            assert Pictures(tiles.records, 128, cache)[0] is None
    path.unlink()
    with pytest.raises(FileNotFoundError, match='was there when the data set was read'):
        Pictures(tiles.records, 128)[0]


def test_a_record_says_which_part_it_is(data):
    whole, tiles = data.records[0], cut_into_tiles(data, Slicing((128, 128), 0.2, True)).records
    assert whole.tile is None and tiles[0].tile == Tile(0, 0, whole.size)
    assert tiles.take([2])[0].tile == tiles[2].tile
