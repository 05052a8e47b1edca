from collections import Counter
from pathlib import Path

import pytest
import torch

from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.records import Record
from mbv3zoo.data.share import picture_names, split_by_names, split_dataset


def dataset(*classes, folder='set', crowd=False):
    """One image for each list of classes."""
    records = []
    for i, labels in enumerate(classes):
        n = len(labels)
        flags = torch.full((n,), crowd, dtype=torch.bool)
        boxes = torch.tensor([[0.0, 0, 8, 8]] * n).reshape(-1, 4)
        path = Path(folder) / f'{i:03d}.png'
        records.append(Record(path, (16, 16), boxes, torch.tensor(labels, dtype=torch.int64), torch.ones(n), flags, i))
    return DetectionSet(records, ('a', 'b', 'c', 'd'), ('a problem',))


def names(data):
    return [record.path.name for record in data.records]


def counts(data):
    return Counter(label for record in data.records for label in set(record.labels.tolist()))


MIXED = [[0]] * 40 + [[0, 1]] * 10 + [[2]] * 2 + [[]] * 10 + [[3]]


@pytest.mark.parametrize('share', [0.1, 0.2, 0.5, 0.8])
def test_each_class_has_its_share_in_both_parts(share):
    data = dataset(*MIXED)
    train_set, val_set = split_dataset(data, share)
    assert sorted(names(train_set) + names(val_set)) == names(data)
    assert abs(len(val_set) - share * len(data)) <= 2
    found = counts(val_set)
    for label, count in {0: 50, 1: 10}.items():
        assert abs(found[label] - share * count) <= 1
    # Two images: one each. One image: trained on.
    assert (found[2], found[3]) == (1, 0)
    assert abs(sum(not len(record.labels) for record in val_set.records) - share * 10) <= 2
    assert train_set.problems == data.problems and val_set.problems == () and val_set.class_names == data.class_names


def test_the_parts_depend_on_seed_and_names_but_not_on_order_or_place():
    data = dataset(*MIXED)
    first = names(split_dataset(data, 0.2)[1])
    assert first == names(split_dataset(data, 0.2)[1]) != names(split_dataset(data, 0.2, seed=1)[1])
    moved = dataset(*MIXED, folder='elsewhere/deep')
    assert names(split_dataset(moved, 0.2)[1]) == first
    turned = DetectionSet(data.records[::-1], data.class_names)
    assert sorted(names(split_dataset(turned, 0.2)[1])) == first
    # Written down, so that another way to draw them is seen here.
    assert names(split_dataset(dataset(*[[0]] * 10), 0.3)[1]) == ['001.png', '006.png', '008.png']


@pytest.mark.parametrize('classes', [[[0], [0]], [[], []], [[0], [1]], [[0], []], [[0], [1], [2]], [[0, 1], [1], [0]]])
@pytest.mark.parametrize('share', [0.01, 0.5, 0.99])
def test_tiny_sets_have_an_image_in_both_parts(classes, share):
    train_set, val_set = split_dataset(dataset(*classes), share)
    assert len(train_set) and len(val_set)


@pytest.mark.parametrize('share', [0, 1, -0.1, 1.5, 20, 'x', None, True, float('nan')])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match='val_share is .*; expected a fraction above 0 and below 1, such as 0.2'):
        split_dataset(dataset([0], [0]), share)


def test_one_image_cannot_be_divided():
    with pytest.raises(ValueError, match='the data set has 1 images; expected two or more'):
        split_dataset(dataset([0]), 0.2)


def test_crowds_are_no_objects_to_divide_by():
    assert len(split_dataset(dataset([0], [0], crowd=True), 0.2)[1]) == 1


def test_a_list_gives_the_same_parts_again_when_images_were_added(tmp_path):
    data = dataset(*MIXED, folder=tmp_path / 'set')
    listed = picture_names(split_dataset(data, 0.2)[1], tmp_path)
    assert all(name.startswith('set/') for name in listed)
    more = DetectionSet([*data.records, *dataset([0], folder=tmp_path / 'other').records], data.class_names)
    train_set, val_set, lost = split_by_names(more, tmp_path, listed)
    assert picture_names(val_set, tmp_path) == listed and len(train_set) + len(val_set) == len(more) and not lost
    assert split_by_names(more, tmp_path, ['set/gone.png'])[2] == ['set/gone.png']


def test_images_of_one_group_stay_together():
    data = dataset(*[[i % 3] for i in range(60)])
    groups = [i // 4 for i in range(60)]
    for seed in range(5):
        parts = split_dataset(data, 0.2, seed, groups)
        keys = [{groups[row.image_id] for row in part.records} for part in parts]
        assert not keys[0] & keys[1] and len(keys[1]) == 3 and sum(map(len, parts)) == 60
    # Each alone is as without groups.
    alone = [[row.image_id for row in part.records] for part in split_dataset(data, 0.2, 1, range(60))]
    assert alone == [[row.image_id for row in part.records] for part in split_dataset(data, 0.2, 1)]
    with pytest.raises(ValueError, match='59 keys of groups are given for 60 images'):
        split_dataset(data, 0.2, 0, groups[1:])
    with pytest.raises(ValueError, match='the 60 images are all in one group'):
        split_dataset(data, 0.2, 0, [0] * 60)
