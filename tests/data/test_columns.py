import pytest
import torch

from mbv3zoo.data.columns import Texts, offsets, taken


@pytest.mark.parametrize('texts', [[], [''], ['a', '', 'ä猫', 'x' * 300, '\udcff'], ['/data/a b.jpg'] * 3])
def test_texts_come_back(texts):
    found = Texts.of(iter(texts))
    assert list(found) == texts and len(found) == len(texts) and [found[i] for i in range(len(texts))] == texts
    order = torch.arange(len(texts)).flip(0)
    assert list(found.take(order)) == texts[::-1]


def test_items_of_some_owners():
    starts = offsets(torch.tensor([2, 0, 3]))
    assert starts.tolist() == [0, 2, 2, 5]
    rows, own = taken(starts, torch.tensor([2, 1, 0, 2]))
    assert rows.tolist() == [2, 3, 4, 0, 1, 2, 3, 4] and own.tolist() == [0, 3, 3, 5, 8]
    rows, own = taken(starts, torch.tensor([], dtype=torch.int64))
    assert rows.tolist() == [] and own.tolist() == [0]
