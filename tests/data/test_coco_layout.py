import pytest

from mbv3zoo.data.coco_layout import find_coco, is_coco, split_of


@pytest.mark.parametrize(
    ('stem', 'split'),
    [
        ('train', 'train'),
        ('instances_train2017', 'train'),
        ('person_keypoints_val2017', 'val'),
        ('instances_valid', 'val'),
        ('Validation', 'val'),
        ('train_2017', 'train'),
        ('my-train-2', 'my-train'),
        ('test-dev2017', 'test-dev'),
        ('instances_default', 'default'),
        ('2017', ''),
    ],
)
def test_the_split_of_a_name(stem, split):
    assert split_of(stem) == split


def put(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.parametrize(
    ('names', 'split', 'found'),
    [
        (['annotations/instances_train2017.json', 'annotations/instances_val2017.json'], 'val', 1),
        (['annotations/instances_train2017.json', 'annotations/person_keypoints_train2017.json'], 'train', 0),
        (['annotations/person_keypoints_train2017.json', 'annotations/captions_train2017.json'], 'train', 0),
        (['annotations/captions_val2017.json', 'annotations/my_val.json'], 'val', 1),
        (['annotations/train.json', 'annotations/instances_train2017.json', 'annotations/train2017.json'], 'train', 0),
        (['annotations/valid.json', 'annotations/train.json'], 'val', 0),
        (['annotations/._train.json', 'annotations/train.json'], 'train', 1),
        (['Annotations/instances_train.json'], 'train', 0),
        (['annotations/train.json', 'train.json'], 'train', 0),
        (['train.json', 'val.json', 'other/train.json'], 'train', 0),
        (['package.json', 'val2017/instances_val2017.json'], 'val', 1),
        (['annotations/instances_trainval.json', 'annotations/instances_train.json'], 'train', 1),
    ],
)
def test_the_file_of_a_split(tmp_path, names, split, found):
    put(tmp_path, *names)
    assert find_coco(tmp_path, split) == tmp_path / names[found]


def test_no_file(tmp_path):
    put(tmp_path, 'package.json', 'train/_annotations.coco.json', 'annotations/a.xml')
    assert find_coco(tmp_path, 'train') is None


def test_several_files_of_a_split_are_refused(tmp_path):
    put(tmp_path, 'annotations/instances_train2014.json', 'annotations/instances_train2017.json')
    with pytest.raises(ValueError, match=r"train2014\.json', .*train2017\.json'\] are all of split 'train'; name one"):
        find_coco(tmp_path, 'train')


def test_an_unknown_split_is_refused_and_the_known_are_named(tmp_path):
    put(tmp_path, 'annotations/instances_train2017.json', 'annotations/instances_default.json')
    with pytest.raises(ValueError, match=r"has no split 'val'; its COCO files are of \['default', 'train'\]"):
        find_coco(tmp_path, 'val')


def test_a_coco_file_is_known_by_its_suffix():
    assert is_coco('a/train.json') and is_coco('TRAIN.JSON') and not is_coco('data.yaml') and not is_coco('hub:a/json')
