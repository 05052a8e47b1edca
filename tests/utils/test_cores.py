"""How many cores a process may use, by files as the kernel writes them."""

import os

import pytest

from mbv3zoo.utils import cores
from mbv3zoo.utils.cores import cpu_name, own_cores, usable_cores, workers_or_default


@pytest.fixture
def sixteen(monkeypatch):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: set(range(16)), raising=False)


def machine(root, cgroup, files):
    (root / 'proc/self').mkdir(parents=True)
    (root / 'proc/self/cgroup').write_text(cgroup)
    for name, text in files.items():
        path = root / 'sys/fs/cgroup' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ('cgroup', 'files', 'expected'),
    [
        ('0::/\n', {'cpu.max': '200000 100000\n'}, 2),  # a container of version 2
        ('0::/\n', {'cpu.max': 'max 100000\n'}, 16),
        ('0::/\n', {'cpu.max': '350000 100000\n'}, 3),  # a thread above the quota stops the others
        ('0::/\n', {'cpu.max': '50000 100000\n'}, 1),
        ('0::/\n', {'cpu.max': '6400000 100000\n'}, 16),  # more than there are
        ('0::/a/b\n', {'a/b/cpu.max': 'max 100000\n', 'a/cpu.max': '400000 100000\n'}, 4),  # of the group around it
        ('0::/docker/1f\n', {'cpu.max': '200000 100000\n'}, 2),  # its own group is not there
        ('3:cpu,io:/x\n', {'cpu,io/x/cpu.cfs_quota_us': '300000\n', 'cpu,io/x/cpu.cfs_period_us': '100000\n'}, 3),
        ('3:cpu:/\n', {'cpu/cpu.cfs_quota_us': '-1\n', 'cpu/cpu.cfs_period_us': '100000\n'}, 16),
        ('2:memory:/\n', {'memory/cpu.max': '100000 100000\n'}, 16),  # not of the CPU
        ('0::/\n', {'cpu.max': 'nonsense'}, 16),
        ('0::/\n', {'cpu.max': '100000 0\n'}, 16),
        ('nonsense', {}, 16),
        ('', {}, 16),
    ],
)  # fmt: skip
def test_a_quota_is_a_limit(tmp_path, sixteen, cgroup, files, expected):
    assert usable_cores(machine(tmp_path, cgroup, files)) == expected


def test_without_control_groups_affinity_counts(tmp_path, sixteen, monkeypatch):
    assert usable_cores(tmp_path) == own_cores() == 16
    monkeypatch.delattr(os, 'sched_getaffinity')
    monkeypatch.setattr(os, 'cpu_count', lambda: None)
    assert usable_cores(tmp_path) == own_cores() == 1


@pytest.mark.skipif(not hasattr(os, 'sched_setaffinity'), reason='no affinity on this system')
def test_affinity_of_this_process():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ('usable', 'processes', 'expected'), [(1, 1, 1), (2, 1, 2), (6, 4, 1), (64, 1, 8), (64, 16, 4)]
)
def test_workers_share_the_cores(monkeypatch, usable, processes, expected):
    monkeypatch.setattr(cores, 'usable_cores', lambda: usable)
    assert workers_or_default(None, processes) == expected
    assert workers_or_default(0, processes) == 0 and workers_or_default(9, processes) == 9


def test_a_processor_has_a_name():
    assert cpu_name().strip()
