"""`mbv3zoo.check_dataset` on a dataset with one fault of each kind."""

import json

import pytest
from faulty_set import write_faulty_set
from tiny_sets import write_yolo_set

import mbv3zoo
from mbv3zoo.checks.dataset import quick_check
from mbv3zoo.training.prepare import check_images


@pytest.fixture(scope='module')
def faulty(tmp_path_factory):
    return write_faulty_set(tmp_path_factory.mktemp('data'))


@pytest.fixture(scope='module')
def report(faulty):
    return mbv3zoo.check_dataset(faulty, image_size=160)


def test_each_fault_is_found_once(report):
    assert [(finding.level, finding.name, finding.count) for finding in report.findings] == [
        ('error', 'unreadable pictures', 1),
        ('error', 'copies in train and val', 2),
        ('error', 'classes without objects', 1),
        ('warning', 'copies', 1),
        ('warning', 'label problems', 1),
        ('warning', 'boxes labelled twice', 1),
        ('note', 'objects too small to learn', 1),
        ('note', 'small objects', 1),
        ('note', 'pictures without objects', 1),
        ('note', 'thin objects', 1),
        ('note', 'colour modes', 1),
    ]
    assert not report.ok and report.summary() == '3 errors, 3 warnings, 5 notes'


def test_examples_are_the_images_with_the_fault(report):
    shown = {finding.name: [example.record.path.stem for example in finding.examples] for finding in report.findings}
    assert sorted(shown['copies in train and val']) == ['0', '1', 'copy', 'half']
    assert shown['boxes labelled twice'] == ['5'] and shown['thin objects'] == ['6'] and shown['small objects'] == ['7']
    assert shown['pictures without objects'] == ['4'] and shown['colour modes'] == ['3']


def test_as_text_it_is_a_table_and_the_findings(report):
    lines = str(report).splitlines()
    assert [line.split() for line in lines[:6]] == [
        ['train', 'val'],
        ['pictures', '13', '4'],
        ['objects', '29', '10'],
        ['ball', '13', '4'],
        ['cube', '16', '4'],
        ['cone', '0', '2'],
    ]
    assert lines[6].startswith('error: 1 picture of train that cannot be read') and lines[-1] == report.summary()


def test_a_good_dataset_is_ok(tmp_path):
    write_yolo_set(tmp_path)
    report = mbv3zoo.check_dataset(tmp_path, image_size=64)
    assert report.ok and {finding.level for finding in report.findings} <= {'note', 'warning'}


def test_a_split_that_cannot_be_read_is_an_error_of_its_own(tmp_path):
    write_yolo_set(tmp_path)
    yaml = tmp_path / 'data.yaml'
    yaml.write_text(yaml.read_text() + 'test: images/gone\n')
    report = mbv3zoo.check_dataset(yaml, image_size=64)
    assert list(report.splits) == ['train', 'val'] and not report.ok
    assert "split 'test': " in report.findings[0].text and 'gone' in report.findings[0].text


def test_where_none_can_be_read_it_is_refused(tmp_path):
    with pytest.raises(ValueError, match='no such data set'):
        mbv3zoo.check_dataset(tmp_path / 'gone')
    with pytest.raises(ValueError, match='image_size is 5'):
        mbv3zoo.check_dataset(tmp_path, image_size=5)
    (tmp_path / 'data.yaml').write_text('train: gone\nval: gone\nnames: [a]\n')
    with pytest.raises(ValueError, match="split 'train': .*gone"):
        mbv3zoo.check_dataset(tmp_path)


def coco(folder, name, categories):
    picture = {'id': 1, 'file_name': '0.png', 'width': 200, 'height': 160}
    rows = [{'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [10, 10, 50, 50]}]
    (folder / name).write_text(json.dumps({'images': [picture], 'annotations': rows, 'categories': categories}))
    return folder / name


def test_two_files_are_two_splits(faulty, tmp_path):
    folder = faulty.parent / 'images'
    train, val = (coco(tmp_path, name, [{'id': 1, 'name': name}]) for name in ('a.json', 'b.json'))
    report = mbv3zoo.check_dataset(train, val_data=val, images=folder / 'train', val_images=folder / 'val')
    assert list(report.splits) == ['train', 'val']
    assert "the classes of val are 'b.json', and those of train 'a.json'" in report.findings[0].text
    assert list(mbv3zoo.check_dataset(train, images=folder / 'train').splits) == ['all']


def test_a_training_is_told_shortly(faulty, caplog):
    told = quick_check(mbv3zoo.load_dataset(faulty, 'train'), (160, 160))
    assert [text.split(',')[0] for text in told] == ['1 pair of boxes of one class in 1 picture of train']
    detector = mbv3zoo.create_detector('mbv3_yolo_small', num_classes=3, image_size=160, device='meta')
    check_images(detector.config, mbv3zoo.load_dataset(faulty, 'train'), None)
    assert f'{told[0]} (mbv3zoo check shows where)' in caplog.messages
