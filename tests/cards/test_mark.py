import pytest
import torch

from mbv3zoo.cards.mark import detector_mark, find_mark, mark_line
from mbv3zoo.config.detector import DetectorConfig

CONFIG = DetectorConfig(backbone='resnet18', class_names=['cat', 'dog'])
WEIGHTS = {'weight': torch.tensor([[0.5, 1.25]]), 'count': torch.tensor(3), 'norm.num_batches_tracked': torch.tensor(7)}
HEAD = {'bias': torch.tensor([0.1, 0.2])}
MARK = detector_mark(CONFIG, WEIGHTS, HEAD)


def marked(config=CONFIG, head=HEAD, **changes):
    return detector_mark(config, {**WEIGHTS, **changes}, head)


def test_it_is_the_same_for_the_same_values_however_they_are_stored():
    assert marked(weight=WEIGHTS['weight'].half()) == marked(weight=WEIGHTS['weight'].bfloat16()) == MARK
    assert marked(weight=torch.tensor([[0.5], [1.25]]).t()) == MARK
    assert marked(**{'norm.num_batches_tracked': torch.tensor(8)}) == MARK
    assert marked(CONFIG.model_copy(update={'licenses': {'backbone': 'mit'}})) == MARK
    assert find_mark(f'a\n{mark_line(MARK)}\nb') == MARK and find_mark('a') is None


@pytest.mark.parametrize(
    'changed',
    [
        {'weight': torch.tensor([[0.5, 1.2500001]])},
        {'weight': torch.tensor([0.5, 1.25])},
        {'count': torch.tensor(4)},
        {'more': torch.empty(0)},
        {'head': {'bias': HEAD['bias'].half()}},
        {'head': {'other': HEAD['bias']}},
        {'config': CONFIG.model_copy(update={'image_size': (320, 320)})},
        {'config': CONFIG.model_copy(update={'class_names': ('cat', 'hen')})},
        {'config': CONFIG.model_copy(update={'activation': 'relu'})},
    ],
)
def test_it_is_another_where_a_value_or_a_setting_is(changed):
    assert marked(**changed) != MARK
