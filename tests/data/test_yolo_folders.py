import pytest
from labelling_tools import (
    NAMES,
    PICTURES,
    label_studio_yolo,
    labelimg_yolo,
    pictures,
    put,
    yolo_flat_by_split,
    yolo_labels,
)

from mbv3zoo.data.load import load_dataset
from mbv3zoo.data.yolo_folders import find_yolo_folders, read_darknet


@pytest.mark.parametrize('write', [labelimg_yolo, label_studio_yolo])
def test_without_names_of_classes_the_error_says_which_file_to_write(tmp_path, write):
    write(tmp_path)
    (tmp_path / 'classes.txt').unlink()
    expected = r'label files of YOLO, such as .*\.txt, but no file names the classes; write .*classes\.txt with one'
    with pytest.raises(ValueError, match=expected):
        load_dataset(tmp_path, 'train')
    put(tmp_path / 'classes.txt', 'ring\nball\ntraffic cone\nspare')
    assert load_dataset(tmp_path, 'train').class_names == NAMES


def test_lists_of_classes_that_differ_are_refused(tmp_path):
    yolo_flat_by_split(tmp_path)
    put(tmp_path / 'val/classes.txt', 'ball\nring\n')
    with pytest.raises(
        ValueError, match=r'train/classes\.txt and val/classes\.txt name other classes; write one .*classes'
    ):
        load_dataset(tmp_path, 'train')
    put(tmp_path / 'classes.txt', '\n'.join(NAMES))
    assert load_dataset(tmp_path, 'val').class_names == NAMES


def test_names_may_be_above_the_folder_and_folders_may_be_named_for_what_is_in_them(tmp_path):
    label_studio_yolo(tmp_path)
    for source in ('images', 'labels'):
        assert len(load_dataset(tmp_path / source, 'train')) == len(PICTURES)


def test_a_folder_without_label_files_is_none_of_yolo(tmp_path):
    pictures(tmp_path / 'images', PICTURES)
    put(tmp_path / 'notes.txt', 'one two three four five')
    put(tmp_path / 'labels/a.txt', '')
    assert find_yolo_folders(tmp_path) is None


def test_labels_without_pictures_are_refused(tmp_path):
    yolo_labels(tmp_path, PICTURES)
    put(tmp_path / 'classes.txt', '\n'.join(NAMES))
    with pytest.raises(ValueError, match='has no readable picture'):
        load_dataset(tmp_path, 'train')


def test_the_paths_of_darknet_may_be_those_of_another_machine(tmp_path):
    put(tmp_path / 'obj.names', 'a\nb\n')
    put(
        tmp_path / 'obj.data',
        '# mine\nclasses=2\ntrain = C:\\\\sets\\\\mine\\\\train.txt\nnames=C:\\\\sets\\\\obj.names\nvalid=\n',
    )
    tree = read_darknet(tmp_path / 'obj.data')
    assert tree.class_names == ('a', 'b') and list(tree.splits) == ['train']
    pictures(tmp_path, {'a.png': ((8, 8), [])})
    put(tmp_path / 'train.txt', 'C:\\\\sets\\\\mine\\\\a.png')
    assert load_dataset(tmp_path, 'train').records[0].path == tmp_path / 'a.png'


def test_darknet_without_its_names_is_refused(tmp_path):
    put(tmp_path / 'obj.data', 'names = data/obj.names\ntrain = train.txt')
    with pytest.raises(
        ValueError, match=r'obj\.data: its file of class names, data/obj\.names, is not there; write it'
    ):
        load_dataset(tmp_path, 'train')
