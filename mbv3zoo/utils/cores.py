"""The CPU cores that this process may use."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path

# As many processes as these read images as fast as any network takes them.
_MOST_WORKERS = 8


def usable_cores(root: Path = Path('/')) -> int:
    """Number of CPU cores that this process may use, at least 1.

    By its affinity, and by the quotas of its control group and of those around it (Linux's cgroup `cpu.max`, before
    `cpu.cfs_quota_us`), rounded down, which limit containers: a thread above a quota stops all the others.

    Args:
        root: Where /proc and /sys are.
    """
    quotas = [int(quota) for quota in _quotas(root)]
    return max(1, min([own_cores(), *quotas]))


def own_cores() -> int:
    """Number of CPU cores by the affinity of this process, whatever its quota is."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def workers_or_default(workers: int | None, processes: int = 1) -> int:
    """Number of processes that read images for each of `processes`; None is one a core, at most 8."""
    return min(max(usable_cores() // processes, 1), _MOST_WORKERS) if workers is None else workers


def _quotas(root: Path) -> Iterator[float]:
    """The quotas on this process, in cores."""
    mounts = root / 'sys/fs/cgroup'
    try:
        lines = (root / 'proc/self/cgroup').read_text(encoding='utf-8').splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, _, rest = line.partition(':')
        controllers, _, path = rest.partition(':')
        if controllers and 'cpu' not in controllers.split(','):
            continue
        mount = mounts / controllers if controllers else mounts
        group = mount / path.strip('/')
        # Also those around it; in a container that sees only its own, what lies outside of it is not there.
        for folder in (group, *group.parents):
            if folder.is_relative_to(mount) and (quota := _quota(folder)):
                yield quota


def _quota(group: Path) -> float | None:
    """The quota of a control group, in cores; None where there is none, or it cannot be read."""
    try:
        if (file := group / 'cpu.max').is_file():
            quota, period = file.read_text(encoding='utf-8').split()
        else:
            quota, period = ((group / f'cpu.cfs_{name}_us').read_text(encoding='utf-8') for name in ('quota', 'period'))
        # 'max', or -1, is none.
        return float(quota) / float(period) if float(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None


def cpu_name() -> str:
    """The name of this machine's processor."""
    cpus = Path('/proc/cpuinfo')
    if cpus.is_file() and (found := re.search(r'^model name\s*:\s*(.+)$', cpus.read_text(), re.MULTILINE)):
        return found[1]
    return platform.processor() or platform.machine()
