"""Writes the detections of many images: each image with its boxes, and one JSON file of all."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

from mbv3zoo.detections import Detections
from mbv3zoo.images.opening import pixel_limit
from mbv3zoo.images.sources import expand_source
from mbv3zoo.prediction.drawings import Drawings
from mbv3zoo.prediction.engine import Engine
from mbv3zoo.prediction.failures import PredictionStopped, reason, stopped
from mbv3zoo.prediction.predict import PredictOptions, iter_predict
from mbv3zoo.prediction.rows_file import RowsFile
from mbv3zoo.utils.disk import make_folder
from mbv3zoo.utils.folders import check_new_folder
from mbv3zoo.utils.progress import bar
from mbv3zoo.utils.text import printable

if TYPE_CHECKING:
    from mbv3zoo.models.network import DetectorNetwork

_NAME = 'predictions.json'
# Most images in the queue to be drawn.
_MOST_WAITING = 4


def write_predictions(
    detector: DetectorNetwork | Engine,
    source: Any,
    out: str | Path,
    *,
    draw: bool = True,
    progress: bool = False,
    **settings: Unpack[PredictOptions],
) -> Iterator[str]:
    """Predicts, and writes each image with its boxes and one `predictions.json`.

    An image that cannot be read or drawn does not stop the others: its row has `error` or `draw_error`. Whatever stops
    the prediction, `predictions.json` has the rows of the images before.

    Args:
        detector, source, **settings: As for `mbv3zoo.prediction.predict.predict`.
        out: Folder for the results; must not exist yet, or be empty.
        draw: Whether to write images with boxes, which takes longer than the prediction: as JPEG, and as PNG where a
            side is over 65500 pixels. Their rows have the name of the file as `drawn`.
        progress: Whether to show a progress bar.

    Yields:
        One line per image with its path and detections, other characters than text escaped; last, how many images there
        were, how many of them failed, and the folder of the results.

    Raises:
        ValueError: As `predict`, or the folder is in use. Nothing is written then.
        PredictionStopped: It failed midway; the message says where, after how many images, and why.
        KeyboardInterrupt: It was interrupted; the message says the same.
    """
    out = Path(out)
    check_new_folder(out)
    items, _ = expand_source(source)
    found = iter_predict(detector, source, **settings)
    make_folder(out)
    with (
        RowsFile(out / _NAME) as rows,
        ThreadPoolExecutor(1, 'mbv3zoo-draw') as pool,
        bar(len(items), 'predict', progress, 'images') as shown,
    ):
        results = _Results(rows, Drawings(out, pool, pixel_limit(settings.get('max_pixels'))) if draw else None)
        try:
            for detections, item in zip(found, items, strict=True):
                results.wait_for(detections, item)
                shown.update()
                yield from results.lines(_MOST_WAITING)
            yield from results.lines(0)
        except GeneratorExit:
            results.keep()
            raise
        except (Exception, KeyboardInterrupt) as error:
            results.keep()
            if rows.count == 0:
                rows.discard()
                if isinstance(error, (ValueError, OSError, ImportError, KeyboardInterrupt)):
                    raise
            kind = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else PredictionStopped
            raise kind(stopped(out, _NAME, rows.count, len(items), error)) from error
    yield f'{rows.count} picture{"" if rows.count == 1 else "s"}{results.failures()}; results in {printable(str(out))}'


class _Waiting(NamedTuple):
    number: int
    detections: Detections
    drawing: Future[str] | None


class _Results:
    """The images that were predicted, in order; a row is written when its drawing is."""

    def __init__(self, rows: RowsFile, drawings: Drawings | None) -> None:
        self.rows, self.drawings = rows, drawings
        self.waiting: deque[_Waiting] = deque()
        self.predicted = self.unread = self.undrawn = 0

    def wait_for(self, detections: Detections, item: Any) -> None:
        """Adds an image, and begins to draw it."""
        drawing = self.drawings.submit(detections, item) if self.drawings and detections.error is None else None
        self.waiting.append(_Waiting(self.predicted, detections, drawing))
        self.predicted += 1

    def lines(self, most: int) -> Iterator[str]:
        """Writes rows until at most so many images wait to be drawn; yields their lines."""
        while len(self.waiting) > most or (self.waiting and self.drawings is None):
            number, detections, drawing = self.waiting[0]
            row, failure = detections.to_dict(), None
            if drawing:
                try:
                    row['drawn'] = drawing.result()
                except Exception as error:
                    failure = row['draw_error'] = reason(error)
            if number == self.rows.count:  # else it was interrupted just after writing it
                self.rows.add(row)
                self.unread += detections.error is not None
                self.undrawn += failure is not None
            self.waiting.popleft()
            what = detections.error or _count_by_name(detections)
            yield printable(f'{detections.path}: {what}{f"; not drawn: {failure}" if failure else ""}')

    def keep(self) -> None:
        """Writes the rows that still wait, as far as that works."""
        try:
            for _ in self.lines(0):
                pass
        except OSError:
            return

    def failures(self) -> str:
        unread = f', {self.unread} could not be read' if self.unread else ''
        return unread + (f', {self.undrawn} could not be drawn' if self.undrawn else '')


def _count_by_name(detections: Detections) -> str:
    counts = Counter(detections.names)
    return ', '.join(f'{number} {name}' for name, number in counts.most_common()) or 'nothing found'
