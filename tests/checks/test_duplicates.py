import numpy as np
from labelled import as_set, record

from mbv3zoo.checks.duplicates import copies, find_copies
from mbv3zoo.checks.pictures import Looked


def look(number, digest=None, error=''):
    """Images of one number look the same."""
    own = np.eye(256, dtype=np.float32)[number]
    return Looked('RGB', digest or f'{number}{np.random.rand()}'.encode(), own, error)


def found(**looked):
    splits = {name: as_set(*[record(f'{name}{i}') for i in range(len(each))]) for name, each in looked.items()}
    return [*find_copies(splits, looked)]


def test_no_copies():
    assert found(train=[look(0), look(1)], val=[look(2)]) == [] and found(train=[]) == []
    # What cannot be read is a copy of nothing.
    assert copies({'train': [look(0, b'', 'cut'), look(0, b'', 'cut')]}) == []


def test_in_two_splits_it_is_an_error_and_in_one_a_warning():
    error, warning = found(train=[look(0, b'a'), look(1), look(0, b'a')], val=[look(0, b'b'), look(2)], test=[look(3)])
    assert (error.level, error.name, error.count) == ('error', 'copies in train and val', 1)
    assert error.text.startswith('1 picture of val also in train, or nearly so: ')
    assert [example.record.image_id for example in error.examples] == ['train0', 'val0']
    assert (warning.level, warning.count) == (
        'warning',
        1,
    ) and '1 picture of train repeated, 1 of them as the same file: ' in warning.text
    assert [example.record.image_id for example in warning.examples] == ['train0', 'train2']


def test_every_two_splits_are_compared():
    names = [finding.name for finding in found(train=[look(0)], val=[look(0)], test=[look(0)])]
    assert names == ['copies in train and val', 'copies in train and test', 'copies in val and test']


def test_equal_files_are_counted():
    (finding,) = found(train=[look(0, b'a')], val=[look(0), look(0, b'a'), look(0, b'a')])[:1]
    assert '3 pictures of val also in train, 2 of them as the same file: ' in finding.text
    assert finding.examples[0].caption == 'train, group 1'
