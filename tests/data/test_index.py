"""A split from the cache is the one that was read, and what was changed is read anew."""

import logging
import os
import shutil

import pytest
import torch
from labelling_tools import cvat_coco, cvat_voc
from PIL import Image
from tiny_sets import write_yolo_set

from mbv3zoo.data import index, label_frames, yolo
from mbv3zoo.data.load import load_dataset


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(index, 'FEWEST', 1)
    monkeypatch.setenv('MBV3ZOO_CACHE', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'labels'


@pytest.fixture(params=[write_yolo_set, cvat_coco, cvat_voc], ids=lambda write: write.__name__)
def folder(request, tmp_path):
    (tmp_path / 'set').mkdir()
    request.param(tmp_path / 'set')
    return tmp_path / 'set'


@pytest.fixture
def opened(monkeypatch):
    """Numbers of images that were opened for their size, one for each reading."""
    counts = []
    for room in (label_frames, yolo):
        monkeypatch.setattr(room, 'stored_sizes', counting(room.stored_sizes, counts))
    return counts


def counting(function, counts):
    def call(paths, *more):
        counts.append(len(paths))
        return function(paths, *more)

    return call


def same(data, other):
    assert (data.class_names, data.category_ids, data.problems) == (
        other.class_names,
        other.category_ids,
        other.problems,
    )
    assert len(data) == len(other)
    for one, two in zip(data.records, other.records, strict=True):
        assert (one.path, one.size, one.image_id) == (two.path, two.size, two.image_id)
        for name in ('boxes', 'labels', 'areas', 'iscrowd'):
            assert torch.equal(getattr(one, name), getattr(two, name))
            assert getattr(one, name).dtype == getattr(two, name).dtype
    return True


def files(folder, *suffixes):
    return sorted(file for file in folder.rglob('*') if file.suffix in suffixes and file.name != 'data.yaml')


def test_a_second_start_opens_no_image_and_finds_the_same(folder, opened, caplog, monkeypatch):
    with caplog.at_level(logging.INFO, 'mbv3zoo'):
        first = load_dataset(folder, 'train')
    assert len(opened) == 1 and 'are kept in' in caplog.text
    again = load_dataset(folder, 'train')
    assert len(opened) == 1 and same(first, again)
    monkeypatch.setattr(index, 'FEWEST', 10**6)
    assert same(load_dataset(folder, 'train'), again) and len(opened) == 2


def test_a_label_file_of_the_same_size_and_time_is_noticed(folder, opened):
    load_dataset(folder, 'train')
    file = files(folder, '.txt', '.json', '.xml')[0]
    status, text = file.stat(), file.read_bytes()
    digit = next(i for i in range(len(text) - 1, 0, -1) if chr(text[i]).isdigit())
    file.write_bytes(text[:digit] + (b'1' if text[digit : digit + 1] != b'1' else b'2') + text[digit + 1 :])
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file.stat().st_size == status.st_size
    load_dataset(folder, 'train')
    assert len(opened) == 2


@pytest.mark.parametrize('change', ['other', 'removed', 'added', 'damaged'])
def test_another_image_is_noticed(folder, opened, change):
    first = load_dataset(folder, 'train')
    image = first.records[0].path
    if change == 'added':
        shutil.copy(image, image.with_name(f'more{image.suffix}'))
    elif change == 'other':
        Image.new('RGB', (500, 400)).save(image)
    elif change == 'damaged':
        image.write_bytes(b'no image')
    else:
        image.unlink()
    again = load_dataset(folder, 'train')
    # COCO and VOC's lists name their images.
    assert len(opened) == 2 or change == 'added'
    assert change != 'damaged' or (len(again) == len(first) - 1 and any('left out' in line for line in again.problems))
    # And so it stays.
    assert same(load_dataset(folder, 'train'), again) and len(opened) <= 2


def test_a_label_file_without_an_image_is_told_at_a_second_start(tmp_path, opened):
    write_yolo_set(tmp_path / 'set')
    load_dataset(tmp_path / 'set', 'train')
    (tmp_path / 'set/labels/train/more.txt').write_text('0 .5 .5 .1 .1')
    assert 'more.txt: there is no picture of that name' in load_dataset(tmp_path / 'set', 'train').problems[0]


def test_problems_are_told_at_each_start(tmp_path, opened, caplog):
    write_yolo_set(tmp_path / 'set')
    (tmp_path / 'set/labels/train/000.txt').write_text('0 .5 .5 .1 .1\n7 .5 .5 .1 .1')
    for _ in range(2):
        caplog.clear()
        load_dataset(tmp_path / 'set', 'train')
        assert caplog.text.count('000.txt:2: class 7 is not one of') == 1
    assert len(opened) == 1


def test_other_options_have_another_entry(folder, opened):
    load_dataset(folder, 'train')
    with pytest.raises(ValueError, match='more than 100'):
        load_dataset(folder, 'train', max_pixels=100)
    assert len(opened) == 2


def test_what_another_version_kept_is_read_anew_which_is_said(folder, opened, caplog, monkeypatch):
    first = load_dataset(folder, 'train')
    monkeypatch.setattr(index, '__version__', '0.0.0')
    with caplog.at_level(logging.INFO, 'mbv3zoo'):
        assert same(load_dataset(folder, 'train'), first) and len(opened) == 2
    assert caplog.text.count('were kept by another version; they are read anew') == 1
    assert same(load_dataset(folder, 'train'), first) and len(opened) == 2


@pytest.mark.parametrize('name', ['labels.safetensors', 'entry.json'])
def test_a_damaged_entry_is_made_anew_which_is_said(folder, opened, caplog, cache, name):
    first = load_dataset(folder, 'train')
    entry = next(cache.rglob(name))
    entry.write_bytes(entry.read_bytes()[:-9] + b'123456789')
    assert same(load_dataset(folder, 'train'), first) and len(opened) == 2
    assert len([record for record in caplog.records if 'is damaged' in record.message]) == 1
    assert same(load_dataset(folder, 'train'), first) and len(opened) == 2


def test_a_cache_that_cannot_be_written_is_no_trouble(folder, opened, cache):
    cache.parent.mkdir()
    cache.write_text('in the way')
    first = load_dataset(folder, 'train')
    assert same(load_dataset(folder, 'train'), first) and len(opened) == 2


@pytest.mark.parametrize('error', [OSError(28, 'No space left on device'), index.SafetensorError('I/O error')])
def test_a_full_disk_is_said_and_nothing_is_lost(folder, opened, monkeypatch, caplog, error):
    monkeypatch.setattr(index, 'save_file', raising(error))
    first = load_dataset(folder, 'train')
    assert 'are not kept for the next start' in caplog.text and same(load_dataset(folder, 'train'), first)
    assert len(opened) == 2


def raising(error):
    def call(*_, **__):
        raise error

    return call


def test_an_entry_does_not_grow_with_what_it_is_found_by(folder, cache):
    load_dataset(folder, 'train')
    assert next(cache.rglob('entry.json')).stat().st_size < 1000


def test_what_changes_while_it_is_read_is_not_kept(tmp_path, opened, monkeypatch):
    write_yolo_set(tmp_path / 'set')
    label, sizes = tmp_path / 'set/labels/train/000.txt', yolo.stored_sizes
    text = label.read_text()

    def change(*arguments):
        label.write_text('0 .5 .5 .2 .2')
        return sizes(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(yolo, 'stored_sizes', change)
        assert len(load_dataset(tmp_path / 'set', 'train').records[0].labels) == 1
    label.write_text(text)
    assert len(load_dataset(tmp_path / 'set', 'train').records[0].labels) == len(text.splitlines()) > 1
