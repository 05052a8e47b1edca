"""What is wrong with the labels of a dataset, collected and reported together."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

_logger = logging.getLogger(__name__)

_LONGEST = 500  # characters of a line
# What becomes of a label or image that is not as it should be.
OUTCOMES = ('dropped', 'clipped', 'left out', 'repeats', 'not used', 'taken once')
# What is said of labels whose image is not there.
NO_PICTURE = ('there is no picture', 'there is no such picture', 'there is no such file')


@dataclass
class LabelProblems:
    """Collects problems of a dataset's labels, with file and line, to report them together."""

    source: str | Path
    lines: list[str] = field(default_factory=list)

    def add(self, where: str, what: str) -> None:
        line = f'{where}: {what}'
        # Names of files may be pages long; the end says what was done.
        self.lines.append(line if len(line) <= _LONGEST else f'{line[: _LONGEST // 2]} ... {line[-_LONGEST // 4 :]}')

    def report(self, limit: int = 20) -> None:
        """Logs one warning that counts all problems by their outcome and shows the first `limit`."""
        if self.lines:
            shown = '\n  '.join(self.lines[:limit])
            more = f'\n  ... and {len(self.lines) - limit} more' if len(self.lines) > limit else ''
            found = Counter(outcome for line in self.lines for outcome in OUTCOMES if outcome in line)
            counts = ', '.join(f'{count} {outcome}' for outcome, count in found.items()) if more else ''
            counts = f' ({counts})' if counts else ''
            _logger.warning('%s: %d label problems%s:\n  %s%s', self.source, len(self.lines), counts, shown, more)
