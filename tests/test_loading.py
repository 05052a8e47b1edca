import pytest

import mbv3zoo
from mbv3zoo.runtimes.exported_detector import ExportedDetector


def test_other_sources_give_a_detector():
    detector = mbv3zoo.load('mbv3_yolo_small.synth')
    assert isinstance(detector, mbv3zoo.Detector) and not detector.training
    assert isinstance(mbv3zoo.load('mbv3_yolo_small.synth', runtime='eager'), ExportedDetector)
    with pytest.raises(ValueError, match='device needs a runtime'):
        mbv3zoo.load('mbv3_yolo_small.synth', device='cpu')
    with pytest.raises(ValueError, match="no weights called 'nothing'"):
        mbv3zoo.load('nothing')


def test_a_file_takes_no_options_of_the_hub(tmp_path):
    (tmp_path / 'm.onnx').write_bytes(b'nothing')
    with pytest.raises(ValueError, match='takes no revision'):
        mbv3zoo.load(tmp_path / 'm.onnx', revision='main')


@pytest.mark.parametrize('source', [5, None, b'org/name', ['org/name']], ids=repr)
def test_a_source_of_another_type_is_told(source):
    with pytest.raises(ValueError, match='expected a name, a path or a Hub repository'):
        mbv3zoo.load(source)


@pytest.mark.parametrize('source', ['a' * 5000, 'org/' + 'n' * 300, '\0', 'org/\0'])
def test_a_name_that_no_path_can_have_is_told_like_any_other(source):
    with pytest.raises(ValueError, match='no weights called|neither an existing folder'):
        mbv3zoo.load(source)
