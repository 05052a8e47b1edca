import pytest

from mbv3zoo.checks.findings import counted, share


@pytest.mark.parametrize(
    ('count', 'thing', 'expected'),
    [(0, 'picture', '0 pictures'), (1, 'box', '1 box'), (2, 'box', '2 boxes'), (1200, 'class', '1,200 classes')],
)
def test_counted(count, thing, expected):
    assert counted(count, thing) == expected


def test_share():
    assert [share(part, 200) for part in (200, 25, 13, 1)] == ['100 %', '12 %', '6.5 %', '0.5 %']
