"""Peak memory of this process."""

from __future__ import annotations

import re
import sys
from pathlib import Path

_STATUS = Path('/proc/self/status')


def peak_memory_mb() -> float | None:
    """Peak resident memory of this process in 10^6 bytes; None where the system does not report it."""
    if _STATUS.is_file():
        # Not getrusage, which on Linux may give the peak of the process that started this one.
        kibibytes = re.search(r'^VmHWM:\s+(\d+) kB$', _STATUS.read_text(), re.MULTILINE)
        return round(int(kibibytes[1]) * 1024 / 1e6, 1) if kibibytes else None
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == 'darwin' else 1024) / 1e6, 1)
