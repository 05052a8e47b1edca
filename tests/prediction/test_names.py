from pathlib import Path

import pytest

from mbv3zoo.detections import Detections
from mbv3zoo.prediction.names import FreeNames, folder_names, stem_of, write_whole


def test_each_name_is_given_once():
    names = FreeNames()
    assert [names.take('a', '.txt') for _ in range(3)] == ['a.txt', 'a-2.txt', 'a-3.txt']
    assert names.take('A', '.txt') == 'A-4.txt' and names.take('a', '.jpg') == 'a.jpg'


def test_stems_of_files_and_of_images_in_memory():
    assert stem_of(Detections.empty(path='in/a.b.jpg')) == 'a.b' and stem_of(Detections.empty()) == 'image'


@pytest.mark.parametrize(
    'name',
    ['..', '.', '', '/', '/etc', '../../a', 'a/b', 'a\\b', 'C:\\x', 'con', 'NUL.x', 'a\nb', 'x' * 500, 'a. ', '~'],
)
def test_the_folder_of_a_class_stays_in_its_folder(tmp_path, name):
    (folder,) = folder_names([name])
    assert Path(folder).name == folder and folder not in ('', '.', '..') and folder.isprintable()
    assert not set(folder) & set('/\\:*?"<>|') and folder.lower() not in ('con', 'nul.x')
    (tmp_path / folder).mkdir()
    assert (tmp_path / folder).resolve().parent == tmp_path.resolve()


def test_folders_of_classes_are_told_apart_and_keep_ordinary_names():
    assert folder_names(['cat', 'a/b', 'a_b', 'Cat', 'tool box', '猫']) == [
        'cat', 'a_b', 'a_b-2', 'Cat-2', 'tool box', '猫'
    ]  # fmt: skip


def test_half_a_file_is_removed(tmp_path, monkeypatch):
    def full(path, data):
        path.touch()
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('pathlib.Path.write_bytes', full)
    with pytest.raises(OSError, match='No space left'):
        write_whole(tmp_path / 'a.jpg', b'abc')
    assert not list(tmp_path.iterdir())
