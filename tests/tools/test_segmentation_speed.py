"""The program that times our segmenters against torchvision's."""

import numpy as np
import pytest
import segmentation_speed as speed

pytest.importorskip('openvino')
pytest.importorskip('onnxscript')


@pytest.mark.slow
def test_both_sides_give_a_label_map_of_the_picture(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    models = [speed.peer(tmp_path, image, 5, 1), speed.ours('mbv3_lraspp_small', tmp_path, image, 5, 1)]
    (logits,), (maps,) = (model.graph() for model in models)
    assert logits.shape == (1, 5, 64, 64) and maps.shape == (1, 5, 8, 8)
    labels = models[0].whole()
    assert labels.shape == (64, 64) and labels.dtype == np.uint8 and (labels == logits[0].argmax(0)).all()
    assert models[1].whole().labels.shape == (64, 64)
    lines = [*speed.table(models, rounds=1, seconds=0)]
    assert lines[2].startswith(f'| {speed.PEER} | ') and lines[2].count(' 1.000 |') == 2
    assert lines[3].startswith('| mbv3_lraspp_small | ') and len(lines) == 4
