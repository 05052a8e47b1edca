import pytest
import torch
from yolov5_tree import TINY_LAYERS, yolov5_checkpoint

from mbv3zoo.convert.checkpoint import read_checkpoint

TINY_ANCHORS = [[(8.0, 9.0), (20.0, 30.0)], [(40.0, 30.0), (61.5, 119.25)]]


@pytest.mark.parametrize('half', [False, True])
def test_the_written_anchors_undo_the_rounding_of_half_precision(half, path):
    layers = TINY_LAYERS | {'anchors': [[10, 13, 16, 30], [373, 326, 59, 1003]]}
    yolov5_checkpoint(path, layers, half=half)
    assert read_checkpoint(path).anchors == [[(10, 13), (16, 30)], [(373, 326), (59, 1003)]]
    # Rounded once and saved in full precision, as by a run that was resumed.
    yolov5_checkpoint(path, layers, half=True, change=lambda model: model.float())
    assert read_checkpoint(path).anchors == [[(10, 13), (16, 30)], [(373, 326), (59, 1003)]]


@pytest.mark.parametrize('half', [False, True])
@pytest.mark.parametrize('first', ['coarsest', 'finest'])
def test_the_order_of_anchors_is_that_of_training_not_of_the_layer_list(half, first, path):
    """YOLOv5 reverses a list with the coarsest stride first before it trains, and stores the list as it was."""
    rows = [[10, 13, 16, 30], [373, 326, 59, 1003]]

    def listed(model):
        model.yaml = layers | {'anchors': rows[::-1] if first == 'coarsest' else rows}

    layers = TINY_LAYERS | {'anchors': rows}
    yolov5_checkpoint(path, layers, half=half, change=listed)
    assert read_checkpoint(path).anchors == [[(10, 13), (16, 30)], [(373, 326), (59, 1003)]]
    # A tree that trained against the order of the strides has them so.
    layers = TINY_LAYERS | {'anchors': rows[::-1]}
    yolov5_checkpoint(path, layers, half=half, change=listed)
    assert read_checkpoint(path).anchors == [[(373, 326), (59, 1003)], [(10, 13), (16, 30)]]


@pytest.mark.parametrize(('factor', 'half'), [(1, False), (1, True), (2, False)])
def test_the_grid_of_older_versions_must_be_that_of_the_anchors(factor, half, path):
    def change(model):
        pixels = torch.tensor(TINY_ANCHORS).view(2, 1, 2, 1, 1, 2)
        del model.model[-1].anchor_grid
        model.model[-1].register_buffer('anchor_grid', factor * pixels)

    yolov5_checkpoint(path, TINY_LAYERS, half=half, change=change)
    if factor == 1:
        assert read_checkpoint(path).anchors == TINY_ANCHORS
    else:
        with pytest.raises(ValueError, match='its anchors are not those of its anchor_grid'):
            read_checkpoint(path)


def test_anchors_in_pixels_where_cells_are_expected(path, caplog):
    def change(model):
        model.model[-1].anchors.mul_(torch.tensor([8.0, 16.0]).view(-1, 1, 1))

    yolov5_checkpoint(path, TINY_LAYERS, change=change)
    assert read_checkpoint(path).anchors[0][0] == (64, 72)
    assert 'in pixels, where YOLOv5 holds them in cells' in caplog.text


def test_anchors_fitted_to_the_data_are_kept(path):
    def change(model):
        model.model[-1].anchors[0, 0] = torch.tensor([1.125, 1.25])

    yolov5_checkpoint(path, TINY_LAYERS, change=change)
    assert read_checkpoint(path).anchors == [[(9.0, 10.0), TINY_ANCHORS[0][1]], TINY_ANCHORS[1]]
    yolov5_checkpoint(path, TINY_LAYERS, change=lambda model: model.yaml.update(anchors=2))
    assert read_checkpoint(path).anchors == TINY_ANCHORS
