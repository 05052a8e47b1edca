import pytest
from labelling_tools import NAMES, ONE_SPLIT, PICTURES, SPLITS, TRAIN, TRAIN_ONLY, VALID

from mbv3zoo.data.load import load_dataset

VOC = {name for name in [*ONE_SPLIT, *SPLITS] if 'VOC' in name}


def sources(exports):
    return [(name, source) for name, (_, handed_in) in exports.items() for source in handed_in]


def found(data):
    """Boxes with the names of their classes, by the image's size, which differs between images."""
    rows = [(record.size, record.boxes.round().int().tolist(), record.labels.tolist()) for record in data.records]
    return {
        size[::-1]: sorted((data.class_names[i], tuple(box)) for i, box in zip(*rest[::-1], strict=True))
        for size, *rest in rows
    }


def truth(pictures):
    return {size: sorted((NAMES[label], box) for label, box in boxes) for size, boxes in pictures.values()}


@pytest.mark.parametrize(('name', 'source'), sources(ONE_SPLIT))
def test_an_export_of_one_split_is_read_as_it_comes(tmp_path, name, source):
    ONE_SPLIT[name][0](tmp_path)
    for split in ('train', 'val'):
        data = load_dataset(tmp_path / source, split)
        assert found(data) == truth(PICTURES) and data.problems == ()
    assert data.class_names == (NAMES if name not in VOC or 'CVAT' in name else tuple(sorted(NAMES[:3])))


@pytest.mark.parametrize(('name', 'source'), sources(TRAIN_ONLY))
def test_an_export_that_calls_its_one_split_train(tmp_path, name, source):
    TRAIN_ONLY[name][0](tmp_path)
    data = load_dataset(tmp_path / source, 'train')
    assert found(data) == truth(PICTURES) and data.class_names == NAMES and data.problems == ()
    with pytest.raises(ValueError, match=r"no split 'val'; it names \['train'\]"):
        load_dataset(tmp_path / source, 'val')


@pytest.mark.parametrize(('name', 'source'), sources(SPLITS))
def test_an_export_with_splits_is_read_as_it_comes(tmp_path, name, source):
    SPLITS[name][0](tmp_path)
    for split, expected in (('train', TRAIN), ('val', VALID)):
        data = load_dataset(tmp_path / source, split)
        assert found(data) == truth(expected) and not [line for line in data.problems if 'category 0' not in line]
        assert data.class_names == (NAMES if name not in VOC else tuple(sorted(NAMES[:3])))
