"""Writes the detections of many images: each image with its boxes, and one JSON file of all."""

from __future__ import annotations

import json
import os
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from mbv3zoo.detections import Detections
from mbv3zoo.images.sources import expand_source
from mbv3zoo.prediction.engine import Engine
from mbv3zoo.prediction.predict import PredictOptions, iter_predict
from mbv3zoo.utils.folders import check_new_folder
from mbv3zoo.utils.progress import bar

if TYPE_CHECKING:
    from mbv3zoo.models.network import DetectorNetwork

_NAME = 'predictions.json'
# Most images in the queue to be drawn; each is held decoded.
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

    Args:
        detector, source, **settings: As for `mbv3zoo.prediction.predict.predict`.
        out: Folder for the results; must not exist yet, or be empty.
        draw: Whether to write images with boxes, which takes longer than the prediction.
        progress: Whether to show a progress bar.

    Yields:
        One line per image with its path and detections; last, the folder of the results.

    Raises:
        ValueError: As `predict`, or the folder is in use.
    """
    out = Path(out)
    check_new_folder(out)
    items, _ = expand_source(source)
    found = iter_predict(detector, source, **settings)
    out.mkdir(parents=True, exist_ok=True)
    unfinished = out / f'.{_NAME}.tmp'
    number = 0
    waiting: deque[Future] = deque()
    # Rows are written one by one, and the file gets its name when it is complete.
    with (
        open(unfinished, 'w', encoding='utf-8') as file,
        ThreadPoolExecutor(1, 'mbv3zoo-draw') as pool,
        bar(len(items), 'pictures', show=progress) as shown,
    ):
        taken: Counter[str] = Counter()
        for detections in found:
            row = detections.to_dict()
            if draw and detections.error is None:
                row['drawn'] = _next_name(taken, Path(str(detections.path)).stem)
                waiting.append(pool.submit(_draw, detections, out / row['drawn']))
                if len(waiting) > _MOST_WAITING:
                    waiting.popleft().result()
            file.write(('[\n' if number == 0 else ',\n') + json.dumps(row, ensure_ascii=False))
            number += 1
            shown.update()
            yield f'{detections.path}: {detections.error or _count_by_name(detections)}'
        file.write('\n]\n' if number else '[]\n')
        while waiting:
            waiting.popleft().result()
    os.replace(unfinished, out / _NAME)
    yield f'{number} picture{"" if number == 1 else "s"}; results in {out}'


def _draw(detections: Detections, path: Path) -> None:
    detections.draw().save(path, quality=92)


def _count_by_name(detections: Detections) -> str:
    counts = Counter(detections.names)
    return ', '.join(f'{number} {name}' for name, number in counts.most_common()) or 'nothing found'


def _next_name(taken: Counter[str], stem: str) -> str:
    """The first free name of stem.jpg, stem-2.jpg, ...: two folders may contain images of one name."""
    names = chain([f'{stem}.jpg'], (f'{stem}-{i}.jpg' for i in count(2)))
    name = next(name for name in names if not taken[name])
    taken[name] += 1
    return name
