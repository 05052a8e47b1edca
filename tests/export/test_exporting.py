"""A model of each task, exported and run in a runtime by its own methods."""

import numpy as np
import pytest

import mbv3zoo
from mbv3zoo.create import create_model


@pytest.mark.parametrize('name', ['mbv3_yolo_small_050', 'mbv3_lraspp_small'])
def test_the_file_and_the_runtime_find_what_the_model_finds(name, tmp_path):
    model = create_model(name, image_size=64, num_classes=3).eval()
    picture = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    others = (
        mbv3zoo.load(model.export(tmp_path / 'a.onnx')).predict(picture),
        model.predict(picture, runtime='onnxruntime'),
    )
    for found in others:
        if model.config.task == 'segmentation':
            assert (found.labels == model.predict(picture).labels).mean() > 0.99
        else:
            assert len(found) == len(model.predict(picture))
    with pytest.raises(ValueError, match='threads'):
        model.predict(picture, threads=1)
