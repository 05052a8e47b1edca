"""An exported detector's files are bound to its certificate: others beside it are not opened in silence."""

import json
import shutil

import pytest
from exported_files import RUNNABLE

import mbv3zoo
from mbv3zoo.runtimes.certificate_data import certificate_path
from mbv3zoo.runtimes.parts import check_digests, digest_of, digests, parts, settled
from mbv3zoo.runtimes.table import FORMATS


@pytest.fixture
def copied(exported, tmp_path):
    """Name of a format -> a copy of its file, with all that belongs to it."""

    def copy(name):
        source = exported(name)
        for file in (*parts(source).values(), certificate_path(source)):
            shutil.copy(file, tmp_path)
        return tmp_path / source.name

    return copy


def flip(path, place=-100):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def without_digests(path):
    place = certificate_path(path)
    data = json.loads(place.read_text())
    del data['sha256']
    place.write_text(json.dumps(data))


@pytest.mark.parametrize(
    ('name', 'files'),
    [
        ('a.b.xml', {'.xml': 'a.b.xml', '.bin': 'a.b.bin'}),
        ('a.ncnn.param', {'.ncnn.param': 'a.ncnn.param', '.ncnn.bin': 'a.ncnn.bin'}),
        ('a.onnx', {'.onnx': 'a.onnx'}),
    ],
)
def test_files_of_an_exported_detector(tmp_path, name, files):
    assert {end: part.relative_to(tmp_path).as_posix() for end, part in parts(tmp_path / name).items()} == files


@pytest.mark.parametrize('name', RUNNABLE)
def test_the_certificate_has_the_digest_of_every_file(name, copied):
    path = copied(name)
    recorded = json.loads(certificate_path(path).read_text())['sha256']
    assert recorded == digests(path) and list(recorded) == [
        end for end in (FORMATS[name].suffix, FORMATS[name].weights) if end
    ]


@pytest.mark.parametrize(('name', 'index'), [*((name, 0) for name in RUNNABLE), ('openvino', 1), ('ncnn', 1)])
def test_a_flipped_byte_is_refused_and_can_be_accepted(name, index, copied):
    path = copied(name)
    part = list(parts(path).values())[index]
    flip(part, 40 if part.name == 'model.ncnn.param' else -100)
    with pytest.raises(ValueError, match=f"{part.name} is not the file that .*delete 'sha256' from the certificate"):
        mbv3zoo.load(path)
    without_digests(path)
    check_digests(path)


def test_files_that_were_renamed_together_are_opened(copied, tmp_path):
    path = copied('openvino')
    for file in (*parts(path).values(), certificate_path(path)):
        file.rename(tmp_path / file.name.replace('model', 'other'))
    assert mbv3zoo.load(tmp_path / 'other.xml').info.class_names


def test_certificates_from_before_there_were_digests_check_nothing(copied):
    path = copied('onnx')
    without_digests(path)
    path.write_bytes(path.read_bytes())
    assert mbv3zoo.load(path).info.class_names
    certificate_path(path).unlink()
    assert mbv3zoo.load(path).info.class_names


def test_openvino_weights_are_bound_to_the_graph_without_a_certificate_too(copied):
    path = copied('openvino')
    certificate_path(path).unlink()
    assert mbv3zoo.load(path).info.class_names
    flip(path.with_suffix('.bin'))
    with pytest.raises(ValueError, match='model.bin does not have the weights .* delete mbv3zoo_weights_sha256'):
        mbv3zoo.load(path)


def test_a_file_that_is_called_like_a_certificate_and_is_none_is_not_looked_at(copied):
    path = copied('onnx')
    for text in ('[]', '{}', '{"sha256": 3}', '{"sha256": {".pt": "0"}}', 'null'):
        certificate_path(path).write_text(text)
        assert mbv3zoo.load(path).info.class_names


def test_the_digest_of_a_folder_is_of_its_files_and_not_of_hidden_ones(tmp_path):
    for name in ('one', 'two'):
        (tmp_path / name / 'inner').mkdir(parents=True)
        (tmp_path / name / 'inner' / 'a').write_text('a')
    (tmp_path / 'two' / '.DS_Store').touch()
    assert digest_of(tmp_path / 'one') == digest_of(tmp_path / 'two')
    for change in (
        lambda: (tmp_path / 'two' / 'inner' / 'a').write_text('b'),
        lambda: (tmp_path / 'two' / 'c').touch(),
    ):
        change()
        assert digest_of(tmp_path / 'one') != digest_of(tmp_path / 'two')


def test_files_that_are_replaced_while_they_are_read_are_read_again(tmp_path):
    path, seen = tmp_path / 'm.onnx', []
    path.touch()

    def read():
        seen.append(path.stat().st_ino)
        if len(seen) < 3:
            (tmp_path / 'new').touch()
            (tmp_path / 'new').replace(path)
        if len(seen) == 1:
            raise ValueError('half of one, half of the other')
        return len(seen)

    assert settled(path, read) == 3
    with pytest.raises(ValueError, match='damaged'):
        settled(path, lambda: (_ for _ in ()).throw(ValueError('damaged')))
