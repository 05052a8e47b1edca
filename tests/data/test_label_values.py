import math

import pytest

from mbv3zoo.data import label_values
from mbv3zoo.data.label_values import (
    as_box,
    as_flag,
    as_id,
    as_number,
    as_side,
    check_class_names,
    is_class_name,
    read_list,
    shown,
)

ODD = [None, 'text', '', [], {}, [1], True, 10**400, -(10**400)]


@pytest.mark.parametrize('value', [0, -3, 2.5, 1e300, math.inf])
def test_numbers(value):
    assert as_number(value) == value and isinstance(as_number(value), float)


@pytest.mark.parametrize('value', ODD)
def test_what_is_no_number(value):
    with pytest.raises(ValueError, match='number') as caught:
        as_number(value)
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize('value', [[1, 2, 3, 4], (1.0, 2.0, 3.0, 4.0)])
def test_a_box(value):
    assert as_box(value) == (1, 2, 3, 4)


@pytest.mark.parametrize('value', [*ODD, [1, 2, 3], [1, 2, 3, 4, 5], [[1, 2, 3, 4]], '1234', {1, 2, 3, 4}])
def test_what_is_no_box(value):
    with pytest.raises(ValueError, match=r'^bbox .* is not \[x, y, width, height\]$'):
        as_box(value)
    for other in ODD:
        with pytest.raises(ValueError, match=r'^bboxes .* is not \[x, y, width, height\]$'):
            as_box([1, 2, other, 4], 'bboxes')


@pytest.mark.parametrize('value', [1, 1.0, True, '1', 'true', 'TRUE', ' True ', '1.0'])
def test_flags_that_are_set(value):
    assert as_flag(value, 'iscrowd') is True


@pytest.mark.parametrize('value', [0, 0.0, False, '0', 'false', 'False', '', None, '0.0'])
def test_flags_that_are_not_set(value):
    assert as_flag(value, 'iscrowd') is False


@pytest.mark.parametrize('value', [2, -1, 0.5, 'yes', 'Unspecified', [], [1], {}, math.nan, math.inf, 10**400])
def test_what_is_no_flag(value):
    with pytest.raises(ValueError, match=r'^difficult .* is neither 0 nor 1$'):
        as_flag(value, 'difficult')


def test_ids():
    assert [as_id(value) for value in (0, -7, 2**70, 3.0, '000001', '')] == [0, -7, 2**70, 3, '000001', '']
    assert type(as_id(3.0)) is int
    assert [as_id(value) for value in (None, True, 1.5, math.nan, math.inf, [1], {})] == [None] * 7


def test_sides():
    assert [as_side(value) for value in (640, 0, None, 1.5, '640', ' 64 ', '')] == [640, 0, 0, 1.5, 640, 64, 0]
    for odd in ('big', '-5', 'nan', 'inf', -5, math.nan, math.inf, [640], {}, True, 10**400):
        with pytest.raises(ValueError, match='is not a size in pixels'):
            as_side(odd)


def test_class_names():
    assert check_class_names(['a', 'tv set', '猫'], 'x.json') == ('a', 'tv set', '猫')
    for bad in ('', ' ', 'a\nb', '\0', '\ud800'):
        assert not is_class_name(bad)
        with pytest.raises(ValueError, match=r'^x\.json: class name .* is not one line of text'):
            check_class_names(['a', bad], 'x.json')
    with pytest.raises(ValueError, match=r"x\.json: each class must have a name of its own; \['a'\] are there more"):
        check_class_names(['a', 'b', 'a'], 'x.json')
    with pytest.raises(ValueError, match=r'x\.json: it names no class'):
        check_class_names([], 'x.json')


def test_long_and_deep_values_are_shortened():
    deep = []
    for _ in range(900):
        deep = [deep]
    for value in ('x' * 1000, list(range(1000)), 10**4000, dict.fromkeys(range(1000)), deep):
        assert len(shown(value)) < 100
    assert shown([1.5, 2, 'a', None]) == "[1.5, 2, 'a', None]" and shown('\ud800') == "'\\ud800'"


def test_a_list_of_more_lines_than_any_dataset_is_refused(tmp_path, monkeypatch):
    (tmp_path / 'train.txt').write_text('a.jpg\n\nb.jpg\n')
    assert read_list(tmp_path / 'train.txt') == ['a.jpg', 'b.jpg']
    monkeypatch.setattr(label_values, 'MOST_LISTED', 3)
    with pytest.raises(ValueError, match='train.txt: has 4 lines, expected at most 3; split it into several files'):
        read_list(tmp_path / 'train.txt')
