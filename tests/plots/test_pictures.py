import numpy as np
import pytest
import torch
from labelled import NAMES, as_set, found, record
from PIL import Image

from mbv3zoo.plots.pictures import plot_batch, plot_predictions
from mbv3zoo.plots.sheet import CELL_WIDTH


def opened(path):
    with Image.open(path) as image:
        assert image.format == 'PNG' and image.mode == 'RGB'
        return np.asarray(image).astype(int)


@pytest.fixture
def pictures(tmp_path):
    """Twenty pictures, each with a black patch of an own width on white, which is what is labelled."""
    records = []
    for i in range(20):
        pixels = np.full((60, 80, 3), 255, dtype=np.uint8)
        pixels[20:50, 10 : 20 + i] = 0
        Image.fromarray(pixels).save(tmp_path / f'picture {i}.png')
        path = tmp_path / f'picture {i}.png'
        records.append(record(i, [[10, 20, 20 + i, 50]], [i % 3], path=path, size=(60, 80)))
    return as_set(*records)


def as_found(known, value=0.9):
    return found(known.boxes.tolist(), [value] * len(known.boxes), known.labels.tolist(), size=known.size)


def coloured(cell):
    """Pixels of a cell that are not grey: boxes and captions."""
    return cell.max(2) - cell.min(2) > 60


def cells_of(sheet, columns, height=300, first=40, step=330):
    """Cells of a sheet of pairs, left and right of each, in order."""
    pairs = []
    for top in range(first, len(sheet) - height + 1, step):
        for j in range(columns):
            left = 10 + j * (2 * CELL_WIDTH + 2 + 20)
            row = sheet[top : top + height]
            pairs.append((row[:, left : left + CELL_WIDTH], row[:, left + CELL_WIDTH + 2 : left + 2 * CELL_WIDTH + 2]))
    return pairs


def test_truth_left_detections_right_chosen_evenly(pictures, tmp_path):
    detections = [as_found(known) if i < 10 else found(size=(60, 80)) for i, known in enumerate(pictures.records)]
    plot_predictions(pictures, detections, tmp_path / 'a.png', count=6)
    pairs = cells_of(opened(tmp_path / 'a.png'), 3)
    assert len(pairs) == 6
    for i, (left, right) in zip((0, 3, 6, 10, 13, 16), pairs, strict=True):
        boxes = [coloured(cell) for cell in (left, right)]
        # The patch is 5 times as large in the cell; its box lies on its edge, wherever its caption is.
        assert boxes[0][240:250, 50 : 5 * (20 + i)].any() and not boxes[0][:, 5 * (20 + i) + 80 :].any()
        assert boxes[1].any() == (i < 10)
        dark = (left.max(2) < 60)[150:235].any(0).nonzero()[0]
        assert abs(dark.max() - 5 * (20 + i)) <= 4


def test_only_what_predict_would_report_is_drawn(pictures, tmp_path):
    known = pictures.records[5]
    one = as_set(known)
    # Twice the same box under two classes, one that is not sure.
    doubled = found(known.boxes.tolist() * 2, [0.9, 0.8], [0, 1], size=known.size)
    unsure = found([*known.boxes.tolist(), [40, 1, 79, 59]], [0.9, 0.2], [0, 0], size=known.size)
    for name, detections in (('one', as_found(known)), ('doubled', doubled), ('unsure', unsure)):
        detections.labels[0] = 0
        plot_predictions(one, [detections], tmp_path / f'{name}.png')
    assert (tmp_path / 'doubled.png').read_bytes() == (tmp_path / 'one.png').read_bytes()
    assert (tmp_path / 'unsure.png').read_bytes() == (tmp_path / 'one.png').read_bytes()
    plot_predictions(one, [unsure], tmp_path / 'more.png', score_thresh=0.1)
    assert (tmp_path / 'more.png').read_bytes() != (tmp_path / 'one.png').read_bytes()


def test_pictures_of_all_shapes_and_kinds(tmp_path):
    records = []
    for i, (mode, size) in enumerate([('L', (3, 500)), ('RGB', (900, 5)), ('RGBA', (1, 1)), ('1', (40, 40))]):
        Image.new(mode, size).save(tmp_path / f'{i}.png')
        records.append(record(i, [[0, 0, 1, 1]], [0], [i == 3], path=tmp_path / f'{i}.png', size=size[::-1]))
    (tmp_path / 'cut.png').write_bytes((tmp_path / '1.png').read_bytes()[:60])
    records.append(record(9, path=tmp_path / 'cut.png', size=(5, 900)))
    with pytest.warns(UserWarning, match='cut.png'):
        plot_predictions(as_set(*records), [as_found(known) for known in records], tmp_path / 'a.png')
    assert opened(tmp_path / 'a.png').shape[1] > 2000


def test_no_pictures_and_too_few_detections(pictures, tmp_path):
    plot_predictions(as_set(), [], tmp_path / 'a.png')
    assert opened(tmp_path / 'a.png').size
    with pytest.raises(ValueError, match='detections for 2 pictures; the set has 20'):
        plot_predictions(pictures, [found(), found()], tmp_path / 'b.png')


@pytest.mark.parametrize('channels', [1, 3])
def test_batch(tmp_path, channels):
    images = torch.full((5, channels, 100, 200), 200, dtype=torch.uint8)
    targets = torch.tensor([0, 3, 3]), torch.tensor([0, 1, 2]), torch.tensor(
        [[50.0, 50, 100, 90], [10, 30, 60, 90], [150, 60, 199, 99]]
    )  # fmt: skip
    plot_batch(images, targets, NAMES, tmp_path / 'a.png', count=4)
    sheet = opened(tmp_path / 'a.png')
    # Two by two cells, twice as large as the pictures.
    assert sheet.shape == (2 * 20 + 2 * (200 + 30), 2 * (CELL_WIDTH + 20), 3)
    cells = [sheet[top : top + 200, left : left + CELL_WIDTH] for top in (40, 270) for left in (10, 430)]
    assert [bool(coloured(cell).any()) for cell in cells] == [True, False, False, True]
    drawn = coloured(cells[0])
    assert drawn[178:180, 100:200].all() and not drawn[182:].any() and not drawn[:, 202:].any()
    assert drawn[110:178, 198:200].all() and drawn[110:178, 100:102].all() and not drawn[110:178, 102:198].any()
    assert coloured(cells[3])[196:198, 300:398].all()


def test_an_empty_batch_and_other_images(tmp_path):
    none = torch.zeros(0).long(), torch.zeros(0).long(), torch.zeros(0, 4)
    plot_batch(torch.zeros(0, 3, 64, 64, dtype=torch.uint8), none, NAMES, tmp_path / 'a.png')
    assert opened(tmp_path / 'a.png').size
    for images in (torch.zeros(2, 3, 8, 8), torch.zeros(2, 4, 8, 8, dtype=torch.uint8), torch.zeros(3, 8, 8).byte()):
        with pytest.raises(ValueError, match=r'expected uint8 \[B, 3, H, W\]'):
            plot_batch(images, none, NAMES, tmp_path / 'b.png')
