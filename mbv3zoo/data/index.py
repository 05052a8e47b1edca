"""Large splits in the user's cache: a second start reads no label and opens no image.

An entry is found by what it was read from: the path, size and time of each image, and the content of each label file.
So a file that is changed, added or taken away is noticed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from mbv3zoo.data.columns import Texts
from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.problems import LabelProblems
from mbv3zoo.data.records import Records
from mbv3zoo.utils.disk import temporary_folder
from mbv3zoo.utils.own_code import code_digest
from mbv3zoo.utils.packages import installed_version
from mbv3zoo.utils.store import Store
from mbv3zoo.version import __version__

_logger = logging.getLogger(__name__)

# Images; fewer are read in about a second.
FEWEST = 2000
_FILE = 'labels.safetensors'
_COLUMNS = ('sizes', 'starts', 'boxes', 'labels', 'areas', 'iscrowd')
_BLOCK = 2**20


def indexed(
    source: str | Path,
    facts: Sequence[Any],
    label_files: Sequence[str | Path],
    pictures: Sequence[str | Path],
    read: Callable[[], DetectionSet],
) -> DetectionSet:
    """A split from the cache, or read and then kept there. Its label problems are told each time.

    Args:
        source: Named in messages.
        facts: What else the result depends on, as JSON can express it.
        label_files: What is read for the labels, in a fixed order.
        pictures: The images, in a fixed order; one need not be there.
        read: Reads the split.

    Returns:
        What `read` returns. From the cache its columns are mapped from a file, which all processes share.
    """
    data = read() if len(pictures) < FEWEST else _found_or_kept(source, facts, label_files, pictures, read)
    LabelProblems(source, list(data.problems)).report()
    return data


def _found_or_kept(
    source: str | Path,
    facts: Sequence[Any],
    label_files: Sequence[str | Path],
    pictures: Sequence[str | Path],
    read: Callable[[], DetectionSet],
) -> DetectionSet:
    key = _key(facts, label_files, pictures)
    if key is None:
        return read()
    store = Store('labels')
    entry = store.find(key)
    if entry and (found := _load(entry / _FILE, source)):
        return found
    data = read()
    # Not what changed while it was read.
    if not isinstance(data.records.image_ids, tuple) and key == _key(facts, label_files, pictures):
        try:
            with temporary_folder() as folder:
                _save(data, Path(folder) / _FILE)
                if store.keep(key, {_FILE: Path(folder) / _FILE}, {'source': str(source), 'images': len(data)}):
                    _logger.info('the labels of %s are kept in %s for the next start', source, store.folder)
        except (OSError, SafetensorError) as error:
            _logger.warning('the labels of %s are not kept for the next start: %s', source, error)
    return data


def _key(facts: Sequence[Any], label_files: Iterable[str | Path], pictures: Iterable[str | Path]) -> str | None:
    """The SHA-256 of all that a split is read from; None where a file cannot be read twice, or is not there."""
    digest = hashlib.sha256(json.dumps(facts).encode())
    try:
        for file in label_files:
            digest.update(f'\n{os.fspath(file)!r} '.encode())
            with open(file, 'rb', buffering=0) as opened:
                status = os.fstat(opened.fileno())
                if not stat.S_ISREG(status.st_mode):
                    return None
                digest.update(f'{status.st_size}\n'.encode())
                while block := opened.read(_BLOCK):
                    digest.update(block)
    except OSError:
        return None
    for picture in pictures:
        try:
            status = os.stat(picture)
            digest.update(f'{os.fspath(picture)!r} {status.st_size} {status.st_mtime_ns}\n'.encode())
        except (OSError, ValueError):
            digest.update(f'{os.fspath(picture)!r} is missing\n'.encode())
    return digest.hexdigest()


def _reader() -> str:
    """What reads: this library and the one that opens images."""
    return f'{__version__} {code_digest("data", "images")} {installed_version("pillow")}'


def _save(data: DetectionSet, file: Path) -> None:
    records = data.records
    tensors = {name: getattr(records, name) for name in _COLUMNS}
    texts = {'paths': records.paths, 'problems': Texts.of(data.problems)}
    if isinstance(records.image_ids, Texts):
        texts['image_ids'] = records.image_ids
    elif isinstance(records.image_ids, torch.Tensor):
        tensors['image_ids'] = records.image_ids
    for name, column in texts.items():
        tensors |= {f'{name}.data': column.data, f'{name}.starts': column.starts}
    names = {'class_names': data.class_names, 'category_ids': data.category_ids, 'reader': _reader()}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, file, {'set': json.dumps(names)})


def _load(file: Path, source: str | Path) -> DetectionSet | None:
    """What `_save` wrote, mapped; None, which is said, where another version did."""
    try:
        with safe_open(file, 'pt') as opened:
            names = json.loads((opened.metadata() or {})['set'])
            if names['reader'] != _reader():
                _logger.info('the labels of %s were kept by another version; they are read anew', source)
                return None
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        _logger.warning('the labels of %s that were kept cannot be used (%s); they are read anew', source, error)
        return None

    def texts(name: str) -> Texts:
        return Texts(tensors[f'{name}.data'], tensors[f'{name}.starts'])

    ids = tensors['image_ids'] if 'image_ids' in tensors else texts('image_ids')
    records = Records(texts('paths'), **{name: tensors[name] for name in _COLUMNS}, image_ids=ids)
    return DetectionSet(records, tuple(names['class_names']), tuple(texts('problems')), tuple(names['category_ids']))
