"""Checkpoints converted, against the logits and boxes that YOLOv5 itself computed of the same weights and picture."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from reference_weights import reference_picture
from yolov5_tree import MULTIPLES, OFFICIAL_LAYERS, PATCHED_LAYERS, PATCHED_SMALL_LAYERS, yolov5_checkpoint

from mbv3zoo.convert.convert import load_yolov5
from mbv3zoo.create import create_detector
from mbv3zoo.models.postprocess.dense import decode

CASES = Path(__file__).parent / 'cases'
TOLERANCE = 1e-4
LAYERS = {
    **{f'yolov5{size}': {**OFFICIAL_LAYERS, **multiples, 'nc': 2} for size, multiples in MULTIPLES.items()},
    'patched_large': {**PATCHED_LAYERS, 'nc': 2},
    'patched_small': {**PATCHED_SMALL_LAYERS, 'nc': 2},
}
PARAMETERS = {
    'yolov5n': 1766623,
    'yolov5s': 7025023,
    'yolov5m': 20875359,
    'yolov5l': 46143679,
    'yolov5x': 86224543,
    'patched_large': 4673349,
    'patched_small': 2123501,
}


@pytest.mark.parametrize('name', LAYERS)
def test_a_converted_checkpoint_gives_yolov5s_numbers(name, tmp_path):
    yolov5_checkpoint(tmp_path / 'best.pt', LAYERS[name], names=['cat', 'dog'])
    detector = load_yolov5(tmp_path / 'best.pt').detector
    case = np.load(CASES / f'forward_{name}.npz')
    with torch.no_grad():
        logits = detector(torch.from_numpy(reference_picture(64, 96))[None])
    assert sum(parameter.numel() for parameter in detector.parameters()) == PARAMETERS[name]
    assert len(logits) == 3
    for level, own in enumerate(logits):
        expected = case[f'logits{level}']
        assert np.abs(own[0].numpy() - expected).max() < TOLERANCE
        # The weights must matter: they were chosen so that cells differ.
        assert expected.std((1, 2)).mean() > 0.03

    boxes, scores = decode(logits, detector.anchors, detector.strides)
    center, size, objectness, classes = np.split(case['decoded'], (2, 4, 5), axis=1)
    expected = np.concatenate([center - size / 2, center + size / 2], 1)
    # Of boxes 1,000 pixels wide another number of threads alone changes the last digits, which are 6e-5 each.
    slack = TOLERANCE + 1e-6 * size.max(1, keepdims=True)
    assert (np.abs(boxes[0].numpy() - expected) < slack).all()
    assert np.abs(scores[0].numpy() - objectness * classes).max() < TOLERANCE


def test_a_checkpoint_whose_layer_list_has_the_coarsest_anchors_first_decodes_the_same(tmp_path):
    """YOLOv5 trains with the anchors turned and stores them so; the list stays as it was written."""
    layers = LAYERS['patched_small'] | {'anchors': LAYERS['patched_small']['anchors'][::-1]}

    def listed(model):
        model.yaml = layers

    yolov5_checkpoint(tmp_path / 'best.pt', LAYERS['patched_small'], change=listed)
    detector = load_yolov5(tmp_path / 'best.pt').detector
    # And the list alone gives the same anchors.
    (tmp_path / 'list.yaml').write_text(json.dumps(layers), encoding='utf-8')
    assert create_detector(tmp_path / 'list.yaml', device='meta').config.anchors == detector.config.anchors
    case = np.load(CASES / 'forward_patched_small.npz')
    with torch.no_grad():
        boxes, _ = decode(detector(torch.from_numpy(reference_picture(64, 96))[None]), detector.anchors, (8, 16, 32))
    sides = boxes[0, :, 2:] - boxes[0, :, :2]
    assert np.allclose(sides.numpy(), case['decoded'][:, 2:4], rtol=1e-3, atol=1e-2)
