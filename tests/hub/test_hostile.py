"""Hostile answers to every request of every door: what comes is right or an error of ours, and the cache stays right.

After each answer the same is asked without the network, where there may be nothing but never something wrong, and of
an honest Hub, which must give the right files.
"""

import pytest
from amount import amount
from hostile_doors import run_doors
from hostile_hub import answers, run_hostile, unexpected


def test_a_sample_of_the_answers(tmp_path):
    report = run_hostile(tmp_path, {'pull': 29, 'push': 61})
    assert len(report) > 60 and unexpected(report) == {}
    assert {'right', 'ours', 'nothing'} == {outcome for outcomes in report.values() for outcome in outcomes}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('samples', 'fields'),
    [
        ({'pull': amount(7, 1)}, 0),
        ({'pull': amount(17, 3)}, 40),
        ({'push': amount(13, 3)}, 0),
        ({'push': amount(37, 7)}, 40),
    ],
)
def test_many_answers(tmp_path, samples, fields):
    assert len(answers(fields)) > 180
    assert unexpected(run_hostile(tmp_path, samples, fields=fields, timeout=1200)) == {}


@pytest.mark.slow
def test_doors_of_detectors(tmp_path):
    assert unexpected(run_doors(tmp_path, sample=amount(97, 37), timeout=600)) == {}
