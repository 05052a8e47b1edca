import pytest

from mbv3zoo.cli.opened import open_detector

OPTIONS = {'runtime': None, 'image_size': None, 'threads': None, 'device': None}


def test_in_pytorch_a_detector_is_fused_and_in_a_runtime_made_for_the_size(saved):
    assert open_detector(str(saved), **OPTIONS | {'image_size': 96}).fused
    opened = open_detector(str(saved), **OPTIONS | {'image_size': 96, 'runtime': 'eager'})
    assert opened.info.image_size == (96, 96) and opened.runtime == 'eager'
    assert open_detector(str(saved), **OPTIONS | {'runtime': 'eager'}).info.image_size == (64, 64)


def test_threads_need_a_runtime(saved):
    with pytest.raises(ValueError, match="runtime='auto'"):
        open_detector(str(saved), **OPTIONS | {'threads': 1})
