import pytest

from mbv3zoo.utils.text import aligned, nearest, one_line


def test_columns_are_aligned():
    assert aligned([['a', 'bcd', ''], ['ef', 'g', 'h']]) == ['a   bcd', 'ef  g    h']
    assert aligned([]) == []


@pytest.mark.parametrize(
    ('text', 'line'), [('', ''), ('a\n b\tc', 'a b c'), ('12345678', '12345678'), ('123456789', '12345...')]
)
def test_one_line(text, line):
    assert one_line(text, 8) == line


def test_nearest_names():
    assert nearest('cta', ['cat', 'dog'], 'none') == 'did you mean cat?'
    assert nearest('zebra', ['cat', 'dog'], 'the classes are cat, dog') == 'the classes are cat, dog'
    assert nearest('', [], 'nothing') == 'nothing'
