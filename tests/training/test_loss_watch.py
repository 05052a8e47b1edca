import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mbv3zoo.training.loss_watch import LossWatch


def watch_of(*steps):
    watch = LossWatch(['box', 'class'], torch.device('cpu'))
    for update, losses in enumerate(steps, start=1):
        watch.add([torch.tensor(float(loss)) for loss in losses], update)
    return watch


def test_means_are_told_once_and_asked_for_again():
    watch = watch_of((3, 1, 2), (5, 2, 3))
    assert watch.means() is None
    watch.ask()
    assert watch.means() == {'box': 1.5, 'class': 2.5} and watch.means() is None
    watch.add(torch.tensor([6.0, 6, 0]), 3)
    watch.ask()
    assert watch.means() == pytest.approx({'box': 3, 'class': 5 / 3})
    assert watch.sums.tolist() == [9, 5]
    watch.check()


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
def test_the_first_step_that_is_not_finite_is_named(value):
    watch = watch_of((3, 1, 2), (value, 1, value), (math.nan, math.nan, math.nan))
    watch.ask()
    for tell in (watch.means, watch.check):
        with pytest.raises(FloatingPointError, match=rf'at update 2 \(total {value}, box 1.0, class {value}\)$'):
            tell()


def test_what_was_asked_for_is_of_that_moment():
    watch = watch_of((1, 1, 1))
    watch.ask()
    watch.add(torch.tensor([math.nan, 0, 0]), 2)
    assert watch.means() == {'box': 1, 'class': 1}
    with pytest.raises(FloatingPointError, match='at update 2'):
        watch.check()


def test_losses_are_added_without_reading_one():
    class NoReading(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            assert func is not torch.ops.aten._local_scalar_dense.default
            return func(*args, **(kwargs or {}))

    with NoReading():
        watch = watch_of()
        watch.add(torch.ones(3), 1)
        watch.ask()
