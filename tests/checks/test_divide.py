"""`mbv3zoo split`: what belongs together is in one split, and nothing is lost."""

import shutil

import numpy as np
import pytest
from PIL import Image

import mbv3zoo
from mbv3zoo.checks.divide import divide


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """30 images of 10 videos, and a smaller copy of each fifth."""
    place, rng = tmp_path_factory.mktemp('data'), np.random.default_rng(0)
    for i in range(30):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize((120, 90), Image.Resampling.BICUBIC)
        name = f'video_{i % 10}-{i:02d}'
        coarse.save(place / f'{name}.png')
        (place / f'{name}.txt').write_text(f'{i % 2} 0.5 0.5 0.3 0.4\n')
        if i % 5 == 0:
            coarse.resize((60, 45)).save(place / f'copy-{i:02d}.png')
            shutil.copy(place / f'{name}.txt', place / f'copy-{i:02d}.txt')
    (place / 'classes.txt').write_text('cat\ndog\n')
    return place


def read(out, *names):
    return {name: mbv3zoo.load_dataset(out, name) for name in names}


def stems(data):
    return {record.path.stem for record in data.records}


def test_splits_have_all_images_once_and_both_classes(folder, tmp_path):
    out = tmp_path / 'out'
    counts = divide(folder, out, 0.25, 0.25)
    splits = read(out, 'train', 'val', 'test')
    assert counts == {name: len(data) for name, data in splits.items()} and sum(counts.values()) == 36
    assert set().union(*map(stems, splits.values())) == {path.stem for path in folder.glob('*.png')}
    for data in splits.values():
        assert {label for record in data.records for label in record.labels.tolist()} == {0, 1}
        assert all(record.path.parent == folder for record in data.records)
    assert 6 <= counts['val'] <= 12 and 6 <= counts['test'] <= 12


def test_copies_stay_together(folder, tmp_path):
    for seed in range(3):
        divide(folder, tmp_path / str(seed), 0.3, seed=seed)
        for data in read(tmp_path / str(seed), 'train', 'val').values():
            copied = {stem[-2:] for stem in stems(data) if stem.startswith('copy')}
            assert copied <= {stem[-2:] for stem in stems(data) if stem.startswith('video')}
    report = mbv3zoo.check_dataset(tmp_path / '0')
    assert report.ok, str(report)


def test_where_copies_are_not_looked_for_images_are_not_decoded(folder, tmp_path, monkeypatch):
    monkeypatch.setattr('mbv3zoo.checks.pictures.read_image', None)
    divide(folder, tmp_path / 'out', 0.3, keep_copies_together=False)
    apart = [stems(data) for data in read(tmp_path / 'out', 'train', 'val').values()]
    assert any(
        {stem for stem in own if stem.endswith(f'-{i:02d}')} == {f'copy-{i:02d}'}
        for own in apart
        for i in range(0, 30, 5)
    )


@pytest.mark.parametrize('pattern', [r'video_\d', r'(video_\d)-\d'])
def test_images_of_one_group_stay_together(pattern, folder, tmp_path):
    divide(folder, tmp_path / 'out', 0.3, group_by=pattern)
    train, val = (
        {stem.split('-')[0] for stem in stems(data)} - {'copy'}
        for data in read(tmp_path / 'out', 'train', 'val').values()
    )
    assert len(train) + len(val) == 10 and not train & val


def test_the_same_is_drawn_again(folder, tmp_path):
    for name, seed in (('a', 1), ('b', 1), ('c', 2)):
        divide(folder, tmp_path / name, 0.3, seed=seed)
    drawn = [stems(mbv3zoo.load_dataset(tmp_path / name, 'val')) for name in 'abc']
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'val': 1.5}, 'val is 1.5; expected a fraction'),
        ({'val': 0.5, 'test': 0.5}, 'val and test is 1; expected'),
        ({'val': 0.5, 'test': 0.0}, 'test is 0; expected'),
        ({'val': 0.5, 'group_by': '('}, 'which is no regular expression: '),
        ({'val': 0.5, 'group_by': '.png'}, '36 pictures belong together, .*another --group-by'),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_left(arguments, message, folder, tmp_path):
    with pytest.raises(ValueError, match=message):
        divide(folder, tmp_path / 'out', **arguments)
    assert not (tmp_path / 'out').exists()


def test_what_is_divided_or_there_already_is_refused(folder, tmp_path):
    divide(folder, tmp_path / 'out', 0.3)
    with pytest.raises(ValueError, match='has a split to validate on'):
        divide(tmp_path / 'out', tmp_path / 'other', 0.3)
    with pytest.raises(ValueError, match='never overwritten'):
        divide(folder, tmp_path / 'out', 0.3)
