"""The time of a network by the widths of its layers: the sum of its units, corrected by whole graphs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from mbv3zoo.fitting.units import Unit, find_units
from mbv3zoo.widths.records import Groups

if TYPE_CHECKING:
    # It needs ONNX, and a model of the time can be imported without.
    from mbv3zoo.fitting.latency_table import LatencyTable

Widths = Mapping[str, int]


class TimeModel:
    """Predicts the time of a network whose groups have so many units.

    Args:
        groups: What `mbv3zoo.widths.channel_groups.find_groups` has found.
        table: What units cost.

    Attributes:
        full: Units of each group in the unchanged network.
        units: What the network computes.
        neighbours: Name of a group -> those whose cost depends on its width, itself among them.
    """

    def __init__(self, groups: Groups, table: LatencyTable) -> None:
        self.table = table
        self.full = {group.name: group.units for group in groups.groups}
        self.units = find_units(groups.operations)
        self._of: dict[str, list[int]] = defaultdict(list)
        self.neighbours: dict[str, set[str]] = defaultdict(set)
        for index, unit in enumerate(self.units):
            for name in unit.groups:
                self._of[name].append(index)
                self.neighbours[name] |= unit.groups
        self._widths = [unit.widths(self.full) for unit in self.units]
        self._known: dict[tuple[int, int, int], float] = {}

    def measured_units(self) -> list[tuple[Unit, tuple[int, int]]]:
        """What the table has to know: each unit with its full widths."""
        return [*dict.fromkeys(zip(self.units, self._widths, strict=True))]

    def total(self, widths: Widths) -> float:
        """Milliseconds of all units."""
        return sum(self._time(index, widths) for index in range(len(self.units)))

    def part(self, names: Iterable[str], widths: Widths) -> float:
        """Milliseconds of the units that depend on the width of any of some groups."""
        indices = {index for name in names for index in self._of[name]}
        return sum(self._time(index, widths) for index in sorted(indices))

    def _time(self, index: int, widths: Widths) -> float:
        unit = self.units[index]
        inputs, outputs = unit.widths(widths)
        if not inputs or not outputs:  # of a block that is left out
            return 0.0
        key = index, inputs, outputs
        if key not in self._known:
            self._known[key] = self.table.time(unit, (inputs, outputs), self._widths[index])
        return self._known[key]
