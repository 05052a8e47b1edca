"""What a family of fitted models has beside them: the picture of all, with uniform widths."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mbv3zoo.config.fit_record import FitRecord
from mbv3zoo.fitting.family_picture import draw_family
from mbv3zoo.fitting.stages import FitResult
from mbv3zoo.fitting.uniform import solve_uniformly
from mbv3zoo.utils.atomic import atomic_write

if TYPE_CHECKING:
    from mbv3zoo.fitting.fitter import Fitter

_logger = logging.getLogger(__name__)

FAMILY_PICTURE, _FIGURES = 'family.png', 'family.json'


def picture_family(results: Sequence[FitResult], fitter: Fitter, folder: Path) -> None:
    """Writes `family.png`, and its figures as `family.json`; not again where they are there.

    Args:
        results: The fitted models.
        fitter: Has the model that they were made of.
        folder: Folder of the family.
    """
    if (folder / FAMILY_PICTURE).exists():
        return
    uniform: list[FitRecord] = []
    for result in results:
        try:
            record = fitter.narrow(result.record.budget_ms, 1, solve_uniformly).config.fit
        except ValueError as error:  # one factor does not come as far as single layers do
            _logger.info('one width multiplier: %s', error)
        else:
            assert record is not None
            uniform.append(record)
    fitted = [result.record for result in results]
    draw_family(fitted, uniform, folder / FAMILY_PICTURE)
    figures = {'fitted': fitted, 'uniform': uniform}
    found = {name: [record.model_dump() for record in records] for name, records in figures.items()}
    atomic_write(folder / _FIGURES, json.dumps(found, indent=2).encode() + b'\n')
