import pytest
import torch

from mbv3zoo.config.detector import DEFAULT_ANCHORS, STRIDES
from mbv3zoo.data.loader import Targets
from mbv3zoo.training.assigner import assign

ANCHORS = torch.tensor(DEFAULT_ANCHORS)


def slow_assign(targets, anchors, strides, grid_sizes, anchor_ratio=4.0):
    """Looks from every anchor of every cell at every box.

    A cell takes a box whose centre lies in the cell itself or, along one axis only, less than half a cell beside it:
    within a plus of twice the cell's size around its middle. That is the own cell and the two nearest neighbours.
    """
    levels = []
    for level_anchors, stride, (rows, columns) in zip(anchors.tolist(), strides, grid_sizes, strict=True):
        found = []
        boxes = zip(targets.image_index.tolist(), targets.labels.tolist(), targets.boxes.tolist(), strict=True)
        for image, label, (x1, y1, x2, y2) in boxes:
            x, y = (x1 + x2) / 2 / stride, (y1 + y2) / 2 / stride
            width, height = (x2 - x1) / stride, (y2 - y1) / stride
            for anchor, (anchor_width, anchor_height) in enumerate(level_anchors):
                sides = (x2 - x1) / anchor_width, (y2 - y1) / anchor_height
                if any(max(side, 1 / side) >= anchor_ratio for side in sides):
                    continue
                for row in range(rows):
                    for column in range(columns):
                        far = sorted([abs(x - column - 0.5), abs(y - row - 0.5)])
                        if far[0] < 0.5 and far[1] < 1:
                            found.append((image, anchor, row, column, label, x - column, y - row, width, height))
        levels.append(sorted(found))
    return levels


def rows_of(assignments):
    levels = []
    for assignment in assignments:
        image, anchor, row, column, boxes, labels, _ = (part.tolist() for part in assignment)
        levels.append(
            sorted((*place, *box) for *place, box in zip(image, anchor, row, column, labels, boxes, strict=True))
        )
    return levels


def targets_of(boxes, image_index=None, labels=None):
    boxes = torch.as_tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    zeros = torch.zeros(len(boxes), dtype=torch.int64)
    return Targets(zeros if image_index is None else image_index, zeros if labels is None else labels, boxes)


def grids(height, width):
    return [(height // stride, width // stride) for stride in STRIDES]


def check(targets, height, width, anchors=ANCHORS):
    """Compares with the slow assigner; returns the number of assignments a level."""
    found = rows_of(assign(targets, anchors, STRIDES, grids(height, width)))
    expected = slow_assign(targets, anchors, STRIDES, grids(height, width))
    for level, expected_level in zip(found, expected, strict=True):
        assert [row[:5] for row in level] == [row[:5] for row in expected_level]
        for row, expected_row in zip(level, expected_level, strict=True):
            assert row[5:] == pytest.approx(expected_row[5:], abs=1e-3)
    return [len(level) for level in found]


def random_targets(seed, count, height, width):
    """Boxes of 3 pixels up to the whole picture, all inside it, none centred on a line or middle of a grid."""
    generator = torch.Generator().manual_seed(seed)
    canvas = torch.tensor([width, height])
    side = torch.exp(torch.rand(count * 4, 2, generator=generator) * torch.log(canvas / 3)) * 3
    left_top = torch.rand(count * 4, 2, generator=generator) * (canvas - side)
    boxes = torch.cat([left_top, left_top + side], 1)
    center = (boxes[:, :2] + boxes[:, 2:]) / 2
    # The nearest quarter of a pixel off all lines: rounding must not decide.
    boxes = boxes[((center / 4 - (center / 4).round()).abs() > 0.01).all(1)][:count]
    image_index = torch.sort(torch.randint(3, (len(boxes),), generator=generator)).values
    return Targets(image_index, torch.randint(5, (len(boxes),), generator=generator), boxes)


@pytest.mark.parametrize(('height', 'width'), [(96, 96), (64, 160), (224, 32), (32, 32)])
def test_equals_the_slow_assigner(height, width):
    totals = torch.zeros(3, dtype=torch.int64)
    for seed in range(4):
        targets = random_targets(seed, 40, height, width)
        assert len(targets.boxes) == 40
        totals += torch.tensor(check(targets, height, width))
    assert (totals[:2] > 50).all()


def test_other_anchors():
    anchors = torch.tensor([[[4.0, 8], [8, 4]], [[16, 16], [20, 60]], [[100, 30], [64, 64]]])
    assert min(check(random_targets(0, 50, 128, 128), 128, 128, anchors)) > 20


def test_boxes_at_edges_and_corners():
    height, width = 64, 96
    boxes = [
        [x, y, x + side, y + side]
        for side in (10.6, 22.6, 50.6)
        for x in (0, width - side)
        for y in (0, 7.3, height - side)
    ]
    assert min(check(targets_of(boxes), height, width)) > 0


def test_centres_in_each_quarter_of_each_cell():
    boxes = []
    for row in range(4):
        for column in range(6):
            for dy in (1.3, 6.9):
                for dx in (1.3, 6.9):
                    x, y = column * 8 + dx, row * 8 + dy
                    boxes.append([x - 8, y - 8, x + 8, y + 8])
    counts = check(targets_of(boxes), 32, 48)
    assert counts[0] > 200


def test_a_box_in_the_middle_of_the_grid_has_three_cells_an_anchor():
    found = assign(targets_of([[38, 30, 48, 44]]), ANCHORS, STRIDES, grids(96, 96))[0]
    # Centre (43, 37), in cells (5.375, 4.625): the own cell, the left one and the one below.
    cells = {(column, row) for column, row in zip(found.column.tolist(), found.row.tolist(), strict=True)}
    assert cells == {(5, 4), (4, 4), (5, 5)}
    # 10 x 14 is near 10 x 13, 16 x 30 and 33 x 23.
    assert len(found.row) == 9 and sorted(set(found.anchor.tolist())) == [0, 1, 2]
    own = (found.column == 5) & (found.row == 4)
    torch.testing.assert_close(found.boxes[own], torch.tensor([[0.375, 0.625, 1.25, 1.75]]).repeat(3, 1))


def test_no_neighbour_where_the_grid_ends():
    found = assign(targets_of([[0, 0, 7, 7]]), ANCHORS, STRIDES, grids(96, 96))[0]
    assert set(zip(found.column.tolist(), found.row.tolist(), strict=True)) == {(0, 0)}
    found = assign(targets_of([[89, 89, 96, 96]]), ANCHORS, STRIDES, grids(96, 96))[0]
    assert set(zip(found.column.tolist(), found.row.tolist(), strict=True)) == {(11, 11)}


@pytest.mark.parametrize(('ratio', 'expected'), [(1, 3), (3.99, 3), (4, 0), (5, 0), (0.2501, 3), (0.25, 0), (0.2, 0)])
def test_the_ratio_is_exclusive_both_ways(ratio, expected):
    anchors = torch.tensor([[[16.0, 16.0]]])
    for width, height in ((16 * ratio, 16), (16, 16 * ratio)):
        box = [100 - width / 2, 101 - height / 2, 100 + width / 2, 101 + height / 2]
        found = assign(targets_of([box]), anchors, [32], [(8, 8)])
        assert len(found[0].row) == expected


def test_anchor_ratio_is_a_setting():
    anchors = torch.tensor([[[16.0, 16.0]]])
    box = [[71, 71, 71 + 16 * 3, 91]]
    assert len(assign(targets_of(box), anchors, [32], [(8, 8)], 2.5)[0].row) == 0
    assert len(assign(targets_of(box), anchors, [32], [(8, 8)], 3.5)[0].row) == 3


def test_tiny_and_huge_boxes():
    # Under a quarter of the smallest anchor, and over four times the largest: for nobody.
    tiny, huge = [50, 50, 52, 52], [-800, -800, 900, 900]
    assert check(targets_of([tiny]), 96, 96) == [0, 0, 0]
    assert all(len(part.row) == 0 for part in assign(targets_of([huge]), ANCHORS, STRIDES, grids(96, 96)))
    # As large as the picture: the largest level only.
    counts = check(targets_of([[0, 0, 639.4, 639.4]]), 640, 640)
    assert counts[0] == 0 and counts[2] > 0


def test_many_boxes_in_one_cell_are_all_kept():
    boxes = [[41 + i * 0.11, 35 + i * 0.07, 57 + i * 0.11, 60 + i * 0.07] for i in range(30)]
    targets = targets_of(boxes, labels=torch.arange(30))
    assert check(targets, 96, 96)[0] == 30 * 3 * 3
    found = assign(targets, ANCHORS, STRIDES, grids(96, 96))[0]
    assert sorted(set(found.labels.tolist())) == list(range(30))


def test_no_boxes():
    for assignment in assign(targets_of([]), ANCHORS, STRIDES, grids(64, 96)):
        assert [tuple(part.shape) for part in assignment] == [(0,), (0,), (0,), (0,), (0, 4), (0,), (0,)]
        assert all(part.dtype == torch.int64 for i, part in enumerate(assignment) if i != 4)


def test_places_are_inside_the_logits_even_for_boxes_beyond_the_picture():
    generator = torch.Generator().manual_seed(0)
    boxes = torch.rand(500, 2, generator=generator) * 200 - 50
    targets = targets_of(torch.cat([boxes, boxes + 5 + torch.rand(500, 2, generator=generator) * 60], 1))
    for assignment, (rows, columns) in zip(
        assign(targets, ANCHORS, STRIDES, grids(64, 96)), grids(64, 96), strict=True
    ):
        assert assignment.row.min() >= 0 and assignment.row.max() < rows
        assert assignment.column.min() >= 0 and assignment.column.max() < columns


def neighbours_of(x, y, columns, rows):
    """The own cell and its nearest neighbours, by the rule as it is written down; x and y in cells."""
    column, row = min(int(x), columns - 1), min(int(y), rows - 1)
    cells = [(column, row)]
    # The neighbour on the side where less than half a cell lies between it and the centre, if the centre is more than
    # a cell from the grid's end there.
    cells += [(column - 1, row)] if x - column < 0.5 and x > 1 else []
    cells += [(column + 1, row)] if column + 1 - x < 0.5 and columns - x > 1 else []
    cells += [(column, row - 1)] if y - row < 0.5 and y > 1 else []
    cells += [(column, row + 1)] if row + 1 - y < 0.5 and rows - y > 1 else []
    return sorted(cells)


def test_centres_on_lines_and_middles_of_the_grid():
    """On a line the cell before it is the nearer neighbour, in the middle none is; no cell counts twice."""
    for x in (0.0, 4, 8, 12, 16, 24, 30, 80, 84, 88, 92, 96):
        for y in (0.0, 8, 12, 16, 56, 60, 64):
            found = assign(targets_of([[x - 8, y - 8, x + 8, y + 8]]), ANCHORS, STRIDES, grids(64, 96))[0]
            for anchor in range(3):
                own = found.anchor == anchor
                cells = sorted(zip(found.column[own].tolist(), found.row[own].tolist(), strict=True))
                assert cells == neighbours_of(x / 8, y / 8, 12, 8)
            # What is to be predicted stays in reach of the decoder, -0.5 .. 1.5.
            assert found.boxes[:, :2].min() >= -0.5 and found.boxes[:, :2].max() <= 1.5


def test_a_box_of_whole_pixels_takes_no_anchor_of_a_cell_twice():
    boxes = [[x, y, x + side, y + side] for side in (8, 16, 32) for x in range(0, 65, 4) for y in range(0, 33, 8)]
    for level in assign(targets_of(boxes), ANCHORS, STRIDES, grids(64, 96)):
        places = torch.stack([level.box_index, level.anchor, level.row, level.column], 1)
        assert len(places) and len(places.unique(dim=0)) == len(places)


def test_as_yolov5_the_own_cell_counts_once_more_for_each_line():
    def cells(x, y):
        found = assign(targets_of([[x - 8, y - 8, x + 8, y + 8]]), ANCHORS[:1], [8], [(8, 16)], as_yolov5=True)[0]
        own = found.anchor == 0
        return list(zip(found.column[own].tolist(), found.row[own].tolist(), strict=True))

    # Own, left, upper, right, lower.
    assert cells(40, 24) == [(5, 3), (4, 3), (5, 2), (5, 3), (5, 3)]
    assert cells(40, 25) == [(5, 3), (4, 3), (5, 2), (5, 3)]
    assert cells(44, 28) == [(5, 3)]
    assert cells(41, 31) == [(5, 3), (4, 3), (5, 4)]
    # On the picture's edge the own cell is the last inside.
    assert cells(128, 28) == [(15, 3), (15, 3)]
    assert cells(0, 28) == [(0, 3), (0, 3)]


def test_as_yolov5_makes_no_difference_off_the_lines():
    targets = random_targets(0, 40, 96, 96)
    plain = assign(targets, ANCHORS, STRIDES, grids(96, 96))
    same = assign(targets, ANCHORS, STRIDES, grids(96, 96), as_yolov5=True)
    for level, other in zip(plain, same, strict=True):
        assert len(level.row) and all(torch.equal(a, b) for a, b in zip(level.place, other.place, strict=True))
        torch.testing.assert_close(level.boxes, other.boxes, atol=1e-4, rtol=0)


def test_the_order_is_by_step_then_by_box():
    found = assign(targets_of([[38, 30, 48, 44], [39, 31, 47, 43]]), ANCHORS, STRIDES, grids(96, 96))[0]
    # Both centres lie at (5.375, 4.625) cells: the own cell, the left one, the one below.
    own = found.anchor == 0
    rows = list(zip(*(part[own].tolist() for part in (found.column, found.row, found.box_index)), strict=True))
    assert rows == [(*cell, box) for cell in [(5, 4), (4, 4), (5, 5)] for box in range(2)]


def test_box_index_names_the_box():
    targets = random_targets(3, 30, 96, 96)
    for level, stride in zip(assign(targets, ANCHORS, STRIDES, grids(96, 96)), STRIDES, strict=True):
        own = targets.boxes[level.box_index] / stride
        torch.testing.assert_close(level.boxes[:, 2:], own[:, 2:] - own[:, :2])
        assert torch.equal(level.image_index, targets.image_index[level.box_index])
        assert torch.equal(level.labels, targets.labels[level.box_index])


def test_each_box_keeps_its_picture_and_label():
    image_index, labels = torch.tensor([0, 2, 2]), torch.tensor([7, 1, 3])
    boxes = [[10, 10, 27, 27], [10, 10, 27, 27], [61, 53, 80, 70]]
    found = assign(targets_of(boxes, image_index, labels), ANCHORS, STRIDES, grids(96, 96))[0]
    pairs = set(zip(found.image_index.tolist(), found.labels.tolist(), strict=True))
    assert pairs == {(0, 7), (2, 1), (2, 3)}


def test_targets_are_not_changed():
    targets = random_targets(0, 10, 96, 96)
    before = [part.clone() for part in targets]
    assign(targets, ANCHORS, STRIDES, grids(96, 96))
    assert all(torch.equal(part, old) for part, old in zip(targets, before, strict=True))
