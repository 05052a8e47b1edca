"""Writes what is found in many images: each image with it drawn, and one JSON file of all."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

from mbv3zoo.detections.label_studio import local_address
from mbv3zoo.images.opening import pixel_limit
from mbv3zoo.images.sources import expand_source
from mbv3zoo.prediction.crops import Crops
from mbv3zoo.prediction.drawings import Drawings
from mbv3zoo.prediction.engine import Engine, as_engine, check_detects, finds_labels
from mbv3zoo.prediction.failures import PredictionStopped, reason, stopped
from mbv3zoo.prediction.label_files import LabelFiles, MaskFiles
from mbv3zoo.prediction.label_studio_files import LabelStudioFiles
from mbv3zoo.prediction.predict import PredictOptions, iter_predict
from mbv3zoo.prediction.rows_file import RowsFile
from mbv3zoo.prediction.together import predict_together
from mbv3zoo.utils.disk import make_folder
from mbv3zoo.utils.folders import check_new_folder
from mbv3zoo.utils.processes import ALONE, Processes
from mbv3zoo.utils.progress import bar
from mbv3zoo.utils.text import printable

if TYPE_CHECKING:
    from mbv3zoo.models.base_network import ModelNetwork

_NAME = 'predictions.json'
# Most images in the queue to be drawn.
_MOST_WAITING = 4


def write_predictions(
    detector: ModelNetwork | Engine,
    source: Any,
    out: str | Path,
    *,
    draw: bool = True,
    save_txt: bool = False,
    save_conf: bool = False,
    save_crop: bool = False,
    label_studio: bool = False,
    label_studio_root: str | Path | None = None,
    progress: bool = False,
    group: Processes = ALONE,
    **settings: Unpack[PredictOptions],
) -> Iterator[str]:
    """Predicts, and writes each image with its boxes and one `predictions.json`.

    Of a segmenter each image with its classes is written, and their indices as `masks/<image>.png`, `masks` in the row.

    An image that cannot be read or drawn does not stop the others: its row has `error` or `draw_error`. Whatever stops
    the prediction, `predictions.json` has the rows of the images before.

    Args:
        detector, source, **settings: As for `mbv3zoo.prediction.predict.predict`.
        out: Folder for the results; must not exist yet, or be empty.
        draw: Whether to write images with boxes, which takes longer than the prediction: as JPEG, and as PNG where a
            side is over 65500 pixels. Their rows have the name of the file as `drawn`.
        save_txt: Whether to write `labels/<image>.txt`, YOLO's lines of each image that can be read, with `data.yaml`;
            see `mbv3zoo.prediction.label_files`. Rows have the file as `labels`.
        save_conf: Whether those lines end with the score.
        save_crop: Whether to write each object as `crops/<class>/<image>_<n>.jpg`; see `mbv3zoo.prediction.crops`. Rows
            have the files as `crops`, one per object, or `crop_error`.
        label_studio: Whether to write `label_studio.json`, tasks with the boxes as pre-annotations, and
            `label_studio.xml`, the labelling config; see `mbv3zoo.detections.Detections.to_label_studio`.
        label_studio_root: The folder that Label Studio serves the images from; see the same.
        progress: Whether to show a progress bar.
        group: Processes that share the images, all of which call this; the first writes, and yields the lines.

    Yields:
        One line per image with its path and detections, other characters than text escaped; last, how many images there
        were, how many of them failed, and the folder of the results.

    Raises:
        ValueError: As `predict`, the folder is in use, or boxes are asked of a segmenter. Nothing is written then.
        PredictionStopped: It failed midway; the message says where, after how many images, and why.
        KeyboardInterrupt: It was interrupted; the message says the same.
    """
    out = Path(out)
    if group.is_first:
        check_new_folder(out)
    if save_conf and not save_txt:
        raise ValueError('save_conf adds the scores to the files of save_txt; ask for both')
    if label_studio_root is not None and not label_studio:
        raise ValueError('label_studio_root is for the tasks of label_studio; ask for both')
    files = {'save_txt': save_txt, 'save_crop': save_crop, 'label_studio': label_studio}
    check_detects(detector, [name for name, asked in files.items() if asked])
    items, is_single = expand_source(source)
    for item in items if label_studio else ():
        if not isinstance(item, str | Path):
            raise ValueError('label_studio is for image files, whose address a task has; give paths')
        local_address(str(item), label_studio_root)
    together = group.count > 1 and not is_single
    if not group.is_first:
        for _ in predict_together(group, detector, items, **settings) if together else ():
            pass
        return
    found = predict_together(group, detector, items, **settings) if together else None
    found = found or iter_predict(detector, source, **settings)
    make_folder(out)
    with (
        RowsFile(out / _NAME) as rows,
        ThreadPoolExecutor(1, 'mbv3zoo-draw') as pool,
        bar(len(items), 'predict', progress, 'images') as shown,
        ExitStack() as stack,
    ):
        names, most = as_engine(detector).info.class_names, pixel_limit(settings.get('max_pixels'))
        labels = LabelFiles(out, names, save_conf) if save_txt else None
        results = _Results(
            rows,
            Drawings(out, pool, most) if draw else None,
            Crops(out, names, pool, most) if save_crop else None,
            MaskFiles(out, names) if finds_labels(detector) else labels,
            stack.enter_context(LabelStudioFiles(out, names, label_studio_root)) if label_studio else None,
        )
        try:
            for own, item in zip(found, items, strict=True):
                results.wait_for(own, item)
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
    found: Any
    drawing: Future[str] | None
    crops: Future[list[str]] | None


class _Results:
    """The images that were predicted, in order; a row is written when its drawing and its crops are."""

    def __init__(
        self,
        rows: RowsFile,
        drawings: Drawings | None,
        crops: Crops | None = None,
        labels: LabelFiles | None = None,
        tasks: LabelStudioFiles | None = None,
    ) -> None:
        self.rows, self.drawings, self.crops, self.labels, self.tasks = rows, drawings, crops, labels, tasks
        self.waiting: deque[_Waiting] = deque()
        self.predicted = self.unread = self.undrawn = self.uncut = 0

    def wait_for(self, found: Any, item: Any) -> None:
        """Adds an image, and begins to draw it and to cut it up."""
        readable = found.error is None
        drawing = self.drawings.submit(found, item) if self.drawings and readable else None
        crops = self.crops.submit(found, item) if self.crops and readable else None
        self.waiting.append(_Waiting(self.predicted, found, drawing, crops))
        self.predicted += 1

    def lines(self, most: int) -> Iterator[str]:
        """Writes rows until at most so many images wait to be drawn or cut up; yields their lines."""
        at_once = self.drawings is None and self.crops is None
        while len(self.waiting) > most or (self.waiting and at_once):
            number, found, drawing, crops = self.waiting[0]
            row = found.to_dict()
            undrawn = _add_result(row, 'drawn', 'draw_error', drawing)
            uncut = _add_result(row, 'crops', 'crop_error', crops)
            if number == self.rows.count:  # else it was interrupted just after writing it
                if self.labels and found.error is None:
                    row[self.labels.kind] = self.labels.add(found)
                if self.tasks and found.error is None:
                    self.tasks.add(found)
                self.rows.add(row)
                self.unread += found.error is not None
                self.undrawn += bool(undrawn)
                self.uncut += bool(uncut)
            self.waiting.popleft()
            what = found.error or found.summary
            failures = [f'; not {done}: {why}' for done, why in (('drawn', undrawn), ('cropped', uncut)) if why]
            yield printable(f'{found.path}: {what}{"".join(failures)}')

    def keep(self) -> None:
        """Writes the rows that still wait, as far as that works."""
        try:
            for _ in self.lines(0):
                pass
        except OSError:
            return

    def failures(self) -> str:
        counts = {'read': self.unread, 'drawn': self.undrawn, 'cropped': self.uncut}
        return ''.join(f', {number} could not be {done}' for done, number in counts.items() if number)


def _add_result(row: dict[str, Any], name: str, error_name: str, work: Future[Any] | None) -> str:
    """Adds what became of a piece of work to a row; returns why it failed, '' if it did not."""
    if work is not None:
        try:
            row[name] = work.result()
        except Exception as error:
            row[error_name] = reason(error)
    return row.get(error_name, '')
