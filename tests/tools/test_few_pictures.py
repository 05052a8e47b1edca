import json
from pathlib import Path

import pytest
import torch
from few_pictures import draw, folder, table

from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.records import Record


@pytest.fixture(scope='module')
def scenes():
    """2,000 images with an object of one of four classes each, or with none."""
    records = []
    for number in range(2000):
        labels = torch.tensor([number % 4] if number % 5 else [], dtype=torch.int64)
        boxes = torch.tensor([[1.0, 1, 9, 9]]).expand(len(labels), 4)
        crowds = torch.zeros(len(labels), dtype=torch.bool)
        records.append(Record(Path(f'{number}.png'), (10, 10), boxes, labels, boxes[:, 0], crowds, number))
    return DetectionSet(records, tuple('abcd'))


def test_few_are_drawn_with_unequal_classes_and_some_without_objects(scenes):
    train_set, val_set = draw(scenes, 200, seed=0)
    numbers = [{record.image_id for record in data.records} for data in (train_set, val_set)]
    assert len(numbers[0]) == 200 and len(numbers[1]) == 400 and not numbers[0] & numbers[1]
    assert sum(not len(record.labels) for record in train_set.records) == 50
    first, *_, last = torch.bincount(train_set.records.labels).tolist()
    assert first > 2 * last > 0


def test_draws_are_by_the_seed(scenes):
    one, same, other = ([record.image_id for record in draw(scenes, 60, seed)[0].records] for seed in (3, 3, 4))
    assert one == same != other


def test_the_table_has_what_all_seeds_have(tmp_path):
    for name, aps in (('default', (0.2, 0.3)), ('copy_paste 0.5', (0.25, 0.28)), ('balance classes', (0.4,))):
        for seed, ap in enumerate(aps):
            run = folder(tmp_path, 60, name, seed)
            run.mkdir(parents=True)
            (run / 'figures.json').write_text(json.dumps({'ap': ap, 'rare': ap / 2}))
    rows = [*table(tmp_path, 60, 2)][2:]
    assert rows == ['| default | 25.0 | 12.5 |  |', '| copy_paste 0.5 | 26.5 | 13.2 | +5.0, -2.0 |']
