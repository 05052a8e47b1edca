"""The picture that visitors can try."""

import pytest
from PIL import Image

from mbv3zoo.demo.example import example_picture


def test_packaged_detectors_have_a_scene_and_others_none():
    assert example_picture('mbv3_yolo_small.synth', None).name == 'scene.jpg'
    assert example_picture('runs/train-1', None) is None and example_picture('org/name', None) is None


def test_a_picture_of_ones_own_is_looked_at(tmp_path):
    Image.new('RGB', (4, 4)).save(tmp_path / 'a.PNG')
    assert example_picture('org/name', tmp_path / 'a.PNG') == tmp_path / 'a.PNG'
    (tmp_path / 'b.jpg').write_bytes(b'no picture')
    for name, told in (('b.jpg', 'b.jpg'), ('c.tiff', 'browsers may not show it'), ('none.jpg', 'none.jpg')):
        with pytest.raises((ValueError, OSError), match=told):
            example_picture('org/name', tmp_path / name)
