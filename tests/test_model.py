"""One class loads models of any task."""

import mbv3zoo
from mbv3zoo.model import Model


class Own(mbv3zoo.Segmenter):
    """A user's own segmenter."""


def test_from_pretrained_gives_the_class_of_the_task(tmp_path):
    folders = {
        mbv3zoo.Detector: mbv3zoo.create_detector('mbv3_yolo_small_050', image_size=64),
        mbv3zoo.Segmenter: mbv3zoo.create_segmenter('mbv3_yolo_small_050', image_size=64),
    }
    for kind, model in folders.items():
        folder = model.save_pretrained(tmp_path / kind.__name__)
        assert type(Model.from_pretrained(folder)) is kind
    assert type(Own.from_pretrained(folder)) is Own
