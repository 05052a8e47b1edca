import copy
import pickle
from pathlib import Path

import pytest
import torch
from labelled import random_pictures, record

from mbv3zoo.data.records import Record, Records, image_ids

FIELDS = Record.__dataclass_fields__


def same(one, other):
    for name in FIELDS:
        a, b = getattr(one, name), getattr(other, name)
        assert torch.equal(a, b) and a.dtype == b.dtype if isinstance(a, torch.Tensor) else a == b, name
    return True


@pytest.fixture
def rows():
    data, _ = random_pictures(0)
    return [*data.records, record(900, [[1, 2, 3, 4]], [2], [True], [7.5], 'b/ä \udcff.jpg', (20, 31)), record(901)]


def test_columns_give_the_records_they_were_made_of(rows):
    records = Records.of(rows)
    assert len(records) == len(rows) and all(map(same, records, rows)) and same(records[-1], rows[-1])
    assert all(same(records[i], row) for i, row in enumerate(rows))
    assert records.owners.tolist() == [i for i, row in enumerate(rows) for _ in row.labels]
    for odd in (len(rows), -len(rows) - 1):
        with pytest.raises(IndexError):
            records[odd]


def test_a_record_shares_its_tensors_with_the_columns(rows):
    records = Records.of(rows)
    assert records[0].boxes.untyped_storage().data_ptr() == records.boxes.untyped_storage().data_ptr()


@pytest.mark.parametrize('chosen', [[], [3], [0, 0, 13], [5, 2, 9], range(14)])
def test_some_records_are_taken_in_their_order(rows, chosen):
    records = Records.of(rows)
    taken = records.take(chosen)
    assert len(taken) == len(list(chosen)) and all(same(own, rows[i]) for own, i in zip(taken, chosen, strict=True))
    assert len(taken.boxes) == len(taken.labels) == int(taken.starts[-1])
    assert all(map(same, records[2:5], rows[2:5])) and len(records[5:2]) == 0


@pytest.mark.parametrize('ids', [[5, -3, 2**62], ['a', '', '猫'], [2**70, 1], []])
def test_ids_are_whole_numbers_or_texts_of_any_length(ids):
    records = Records.of(record(own) for own in ids)
    assert [each.image_id for each in records] == ids
    assert [each.image_id for each in records.take(range(len(ids))[::-1])] == ids[::-1]
    assert all(type(each.image_id) is type(own) for each, own in zip(records, ids, strict=True))
    assert len(image_ids(ids)) == len(ids)


def test_no_record_at_all():
    records = Records.of([])
    assert len(records) == 0 and list(records) == [] and records.boxes.shape == (0, 4) and records.sizes.shape == (0, 2)


def test_columns_are_pickled_and_copied(rows):
    for copied in (pickle.loads(pickle.dumps(Records.of(rows))), copy.deepcopy(Records.of(rows))):
        assert all(map(same, copied, rows)) and copied[0].path == Path('x.png')
