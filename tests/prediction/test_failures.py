import pytest

from mbv3zoo.prediction.failures import reason
from mbv3zoo.utils.disk import told


@pytest.mark.parametrize(
    ('error', 'expected'),
    [
        (OSError(28, 'No space left on device'), 'No space left on device'),
        (OSError(28, 'No space left on device', 'a\nb.jpg'), 'No space left on device: a\\nb.jpg'),
        (
            told(OSError(28, 'No space left'), 'could not write a.jpg in b: the disk is full'),
            'could not write a.jpg in b: the disk is full',
        ),
        (OSError('cannot write mode'), 'OSError: cannot write mode'),
        (ValueError('a.jpg: no image'), 'a.jpg: no image'),
        (RuntimeError('first\n  second'), 'RuntimeError: first second'),
        (MemoryError(), 'MemoryError'),
        (KeyboardInterrupt(), 'interrupted'),
        (ValueError(), 'ValueError'),
    ],
)
def test_every_failure_is_said_in_one_line(error, expected):
    assert reason(error) == expected


def test_a_long_reason_is_cut():
    assert len(reason(RuntimeError('x' * 10_000))) == 300
