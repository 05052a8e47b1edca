from pathlib import Path

import pytest

from mbv3zoo.runtimes.certificate_data import certificate_path, read_certificate_data


def test_the_certificate_is_beside_the_file(tmp_path):
    path = tmp_path / 'm.ncnn.param'
    assert certificate_path(path) == certificate_path(str(path)) == Path(f'{path}.json')
    assert read_certificate_data(path) is None
    certificate_path(path).write_text('{"info": {"a": [1]}}')
    assert read_certificate_data(path) == {'info': {'a': [1]}}


@pytest.mark.parametrize('text', ['', '{', '[' * 3000, "{'info': 1}"])
def test_damage_is_told(tmp_path, text):
    path = tmp_path / 'm.onnx'
    certificate_path(path).write_text(text)
    with pytest.raises(ValueError, match='m.onnx.json: expected the certificate of an exported detector, but'):
        read_certificate_data(path)
