from pathlib import Path

import pytest
from labelling_tools import NAMES, ONE_SPLIT, PICTURES, SPLITS, TRAIN, TRAIN_ONLY, VALID

from mbv3zoo.data.layouts import LAYOUTS
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


def test_the_page_on_data_names_the_layouts_that_are_looked_for():
    page = (Path(__file__).parents[2] / 'docs/data.md').read_text(encoding='utf-8')
    table = page.partition('## Labelling tools')[2].partition('\n## ')[0]
    rows = [row.strip('|').split('|') for row in table.splitlines() if row.startswith('| ')][1:]
    assert {row[-1].strip(' `') for row in rows} == {layout.name for layout in LAYOUTS}
    # Each tool of the fixtures has a row.
    named = {(tool.strip(), row[1].split(',')[0].split(' (')[0].strip()) for row in rows for tool in row[0].split(',')}
    tools = ('labelImg', 'Label Studio', 'CVAT', 'Roboflow')
    written = {tuple(name.split(', ')) for name in {**ONE_SPLIT, **TRAIN_ONLY, **SPLITS} if name.count(', ') == 1}
    assert {(tool, kind) for tool, kind in written if tool in tools} <= named


def test_an_archive_may_have_been_unpacked_into_a_folder_of_its_own(tmp_path):
    for name, (write, _) in {**ONE_SPLIT, **SPLITS}.items():
        write(tmp_path / name / 'export')
        assert load_dataset(tmp_path / name, 'train').records
