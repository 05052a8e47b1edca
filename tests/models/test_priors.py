import math

import pytest

from mbv3zoo.models.priors import class_prior, objectness_prior


@pytest.mark.parametrize('stride', [8, 16, 32])
def test_about_eight_cells_of_a_level_hold_an_object(stride):
    probability = 1 / (1 + math.exp(-objectness_prior(stride)))
    assert probability * (640 / stride) ** 2 == pytest.approx(8, rel=0.03)


@pytest.mark.parametrize('num_classes', [20, 80, 1000])
def test_all_other_classes_share_what_one_leaves(num_classes):
    assert (num_classes - 1) * math.exp(class_prior(num_classes)) == pytest.approx(0.6, rel=1e-3)


def test_a_single_class_is_certain():
    assert class_prior(1) > 10
