import pytest
import torch
from PIL import Image

from mbv3zoo.plots.sheet import CELL_WIDTH, cell_size, draw_cell, write_sheet


def test_cells_fit_most_pictures():
    assert cell_size([]) == (CELL_WIDTH, CELL_WIDTH)
    assert cell_size([(480, 640)] * 3 + [(2000, 100)]) == (CELL_WIDTH * 3 // 4, CELL_WIDTH)
    assert cell_size([(10, 1000)]) == (CELL_WIDTH // 2, CELL_WIDTH)
    assert cell_size([(1000, 10)]) == (CELL_WIDTH * 3 // 2, CELL_WIDTH)


def test_a_cell_is_full_in_one_direction_and_its_picture_is_not_changed():
    image = Image.new('RGB', (50, 100))
    cell = draw_cell(
        image, torch.tensor([[0.0, 0, 50, 100], [20, 20, 20, 20]]), torch.tensor([0, 1]), ['a', ''], (200, 400)
    )
    assert cell.size == (400, 200)
    columns = [x for x in range(400) if cell.getpixel((x, 100)) != (225, 225, 225)]
    assert (columns[0], columns[-1]) == (150, 249)
    assert image.getextrema() == ((0, 0),) * 3


@pytest.mark.parametrize('count', [0, 1, 2, 3, 7])
def test_all_cells_are_on_the_sheet(tmp_path, count):
    rows = [[Image.new('RGB', (40, 30), (255, i, 0))] for i in range(count)]
    write_sheet(rows, ['a long caption ' * 9] * count, 'title', 3, tmp_path / 'a.png')
    with Image.open(tmp_path / 'a.png') as image:
        colours = {colour for _, colour in image.getcolors(100_000)}
    assert {(255, i, 0) for i in range(count)} <= colours
