"""A synthetic dataset on disk: images, YOLO labels with data.yaml, and COCO JSON."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml

from mbv3zoo.images.masks import indexed_image
from mbv3zoo.synth.config import SyntheticConfig
from mbv3zoo.synth.scene import Backgrounds, Objects, compose, open_sources
from mbv3zoo.synth.shifted import SHIFTED_QUALITY, compose_shifted
from mbv3zoo.utils.cores import workers_or_default
from mbv3zoo.utils.disk import make_folder, naming_file, naming_folder, sentence, told
from mbv3zoo.utils.folders import locked_folder
from mbv3zoo.version import __version__

# A split's index seeds its scenes, so new splits go to the end.
_SPLITS = ('train', 'val', 'shift')
_QUALITY = (60, 96)


class _Record(NamedTuple):
    width: int
    height: int
    boxes: np.ndarray
    labels: np.ndarray


def synthesize(
    out: Path | str, config: SyntheticConfig, progress: Callable[[int], None] | None = None
) -> dict[str, int]:
    """Write a dataset of composed scenes.

    The splits train and val have one distribution. The split shift, made if ``config.shift`` is above 0, measures
    robustness: the same classes on other, always drawn backgrounds, with a worse camera.

    ``out`` gets ``images/<split>/000000.jpg``, ``labels/<split>/000000.txt`` (YOLO: class cx cy w h, as
    fractions of width and height), ``annotations/<split>.json`` (COCO), ``data.yaml`` and ``synthetic.json``; with
    ``config.masks`` also ``masks/<split>/000000.png`` (0 is the background) and ``masks/classes.txt``. It appears
    when complete; until then the files are in a hidden folder beside it.

    Args:
        out: folder to create; it must be empty or not exist.
        config: settings. The same config gives the same bytes, whatever ``workers`` is.
        progress: called after each scene with the number of scenes done.

    Returns:
        Counts: ``train``, ``val`` (scenes), ``train_objects``, ``val_objects``, ``classes``; with ``config.shift``
        above 0 also ``shift`` and ``shift_objects``.

    Raises:
        OSError: ``out`` cannot be made, or is a mount.
        ValueError: ``out`` is a file or not empty, another process makes it, or a folder in ``config`` is invalid.

    Example:
        >>> counts = mbv3zoo.synthesize('shapes', mbv3zoo.SyntheticConfig(train=3, val=1, workers=0))
        >>> counts['train'], counts['val'], counts['classes']
        (3, 1, 16)
    """
    given, out = out, Path(out).resolve()
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise ValueError(f'out {str(given)!r} exists and is no empty folder; name a new folder, or empty it')
    objects, backgrounds = open_sources(config)
    make_folder(out.parent)
    if out.is_dir():
        # Now rather than at the end, so that a folder that cannot be replaced, such as a mount, fails at once.
        with naming_folder(out):
            out.rmdir()
    unfinished = out.parent / f'.{out.name}.unfinished'
    with naming_folder(out):
        unfinished.mkdir(exist_ok=True)
    try:
        with locked_folder(unfinished, str(given)):
            dataset = unfinished / 'dataset'
            # Of a process that was killed, as this one has the lock. Not `staged`, which writes every file through to
            # the disk; one rename does for a folder that is new, and can be made again from its config.
            shutil.rmtree(dataset, ignore_errors=True)
            try:
                counts = _write_all(dataset, config, objects, backgrounds, progress)
                os.rename(dataset, out)
            except OSError as error:
                # Files are named where they would have been.
                raise told(error, sentence(error).replace(str(dataset), str(out))) from error
            finally:
                shutil.rmtree(dataset, ignore_errors=True)
    finally:
        with suppress(OSError):  # another process has it now
            unfinished.rmdir()
    return counts


def _write_all(
    folder: Path,
    config: SyntheticConfig,
    objects: Objects,
    backgrounds: Backgrounds,
    progress: Callable[[int], None] | None,
) -> dict[str, int]:
    splits = _SPLITS if config.shift else _SPLITS[:2]
    tasks = [(split, index) for split in splits for index in range(getattr(config, split))]
    for split in splits:
        for kind in ('images', 'labels', *(['masks'] if config.masks else [])):
            (folder / kind / split).mkdir(parents=True)
    (folder / 'annotations').mkdir()
    records: dict[str, list[_Record]] = {split: [] for split in splits}
    render = partial(_render, folder, config, objects, backgrounds)
    for done, record in enumerate(_run(render, tasks, workers_or_default(config.workers)), 1):
        split, _ = tasks[done - 1]
        records[split].append(record)
        if progress is not None:
            progress(done)
    names = list(objects.class_names)
    for split in splits:
        _write_yolo(folder / 'labels' / split, records[split])
        _write_json(folder / 'annotations' / f'{split}.json', _coco(records[split], names), indent=None)
    data = {**{split: f'images/{split}' for split in splits}, 'nc': len(names), 'names': names}
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    _write_text(folder / 'data.yaml', text)
    if config.masks:
        _write_text(folder / 'masks' / 'classes.txt', '\n'.join(['background', *names, '']))
    _write_json(folder / 'synthetic.json', _provenance(config), indent=2)
    counts = {split: len(records[split]) for split in splits}
    counts |= {f'{split}_objects': sum(len(r.labels) for r in records[split]) for split in splits}
    return {**counts, 'classes': len(names)}


def _run(render: Callable, tasks: list, workers: int) -> Iterator[_Record]:
    if workers <= 1:
        yield from map(render, tasks)
        return
    pool = ProcessPoolExecutor(workers)
    try:
        yield from pool.map(render, tasks, chunksize=8)
    finally:
        # Waits for running scenes, so that nothing is written after an interrupted run was removed.
        pool.shutdown(wait=True, cancel_futures=True)


def _render(
    folder: Path, config: SyntheticConfig, objects: Objects, backgrounds: Backgrounds, task: tuple[str, int]
) -> _Record:
    # One random generator per scene, so that the order of workers does not matter.
    split, index = task
    rng = np.random.default_rng([config.seed, _SPLITS.index(split), index])
    if split == 'shift':
        scene, quality = compose_shifted(rng, config, objects), SHIFTED_QUALITY
    else:
        scene, quality = compose(rng, config, objects, backgrounds), _QUALITY
    path = folder / 'images' / split / f'{index:06d}.jpg'
    with naming_file(path):
        scene.image.save(path, quality=int(rng.integers(*quality)))
    if config.masks:
        classes = np.zeros(scene.image.size[::-1], np.uint8)
        for label, visible in zip(scene.labels, scene.masks, strict=True):
            classes[visible] = label + 1
        path = folder / 'masks' / split / f'{index:06d}.png'
        with naming_file(path):
            indexed_image(classes).save(path, optimize=True)
    return _Record(*scene.image.size, scene.boxes, scene.labels)


def _write_yolo(folder: Path, records: list[_Record]) -> None:
    for index, record in enumerate(records):
        low, high = record.boxes[:, :2].astype(np.float64), record.boxes[:, 2:].astype(np.float64)
        rows = np.concatenate([(low + high) / 2, high - low], axis=1)
        rows /= [record.width, record.height, record.width, record.height]
        lines = [
            f'{label} {" ".join(f"{value:.6f}" for value in row)}\n'
            for label, row in zip(record.labels, rows, strict=True)
        ]
        _write_text(folder / f'{index:06d}.txt', ''.join(lines))


def _coco(records: list[_Record], names: list[str]) -> dict:
    images: list[dict] = []
    annotations: list[dict] = []
    for index, record in enumerate(records):
        name = f'{index:06d}.jpg'
        images.append({'id': index + 1, 'file_name': name, 'width': record.width, 'height': record.height})
        for box, label in zip(record.boxes.astype(float), record.labels, strict=True):
            x0, y0, x1, y1 = box.tolist()
            annotations.append(
                {
                    'id': len(annotations) + 1,
                    'image_id': index + 1,
                    'category_id': int(label) + 1,
                    'bbox': [x0, y0, x1 - x0, y1 - y0],
                    'area': (x1 - x0) * (y1 - y0),
                    'iscrowd': 0,
                }
            )
    categories = [{'id': i, 'name': name, 'supercategory': 'object'} for i, name in enumerate(names, 1)]
    info = {'description': 'synthetic scenes of mbv3zoo', 'version': __version__}
    return {'info': info, 'images': images, 'annotations': annotations, 'categories': categories}


def _provenance(config: SyntheticConfig) -> dict:
    # Without paths and `workers`, which would make equal datasets differ.
    settings = config.model_dump(exclude={'objects', 'backgrounds', 'workers'})
    for name in ('shift', 'masks'):
        if not settings[name]:
            # So that datasets without it keep their bytes from before it existed.
            del settings[name]
    sources = {
        'objects': 'drawn' if config.objects is None else 'folder',
        'backgrounds': 'drawn' if config.backgrounds is None else 'folder',
    }
    return {'version': __version__, 'config': {**settings, **sources}}


def _write_json(path: Path, content: dict, indent: int | None) -> None:
    _write_text(path, json.dumps(content, indent=indent) + '\n')


def _write_text(path: Path, text: str) -> None:
    with naming_file(path):
        path.write_text(text, encoding='utf-8', newline='\n')
