"""A YOLOv5 checkpoint as plain data: layer list, tensors, modules, classes, anchors, strides."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any, Literal

import torch

from mbv3zoo.config.model import MOST_CLASSES
from mbv3zoo.convert.inert_pickle import Record
from mbv3zoo.convert.module_tree import (
    ModuleInfo,
    as_mapping,
    child_modules,
    is_module,
    module_info,
    plain_copy,
    read_tensors,
    walk_modules,
)
from mbv3zoo.convert.stored_anchors import stored_anchors
from mbv3zoo.convert.torch_file import TorchFile, is_tensor

_logger = logging.getLogger(__name__)

_EXPECTED = "expected a checkpoint of YOLOv5's detection model, as its train.py saves it"
_OTHER_MODELS = {
    'SegmentationModel': 'a segmentation model',
    'Segment': 'a segmentation model',
    'ClassificationModel': 'a classification model',
    'Classify': 'a classification model',
}
_MAX_IMAGE_SIZE = 8192
_LONGEST_MESSAGE = 1000


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a detector needs of a YOLOv5 checkpoint.

    Attributes:
        layers: The model's own YAML mapping, as in the checkpoint: nc, depth_multiple, width_multiple, anchors,
            backbone and head rows.
        tensors: State-dict name ('model.0.conv.weight', ...) -> parameter or persistent buffer, in the order of the
            state dict; floating-point ones as float32.
        modules: Module name ('model.0', 'model.0.conv', ...) -> its class and plain attributes, parents first.
        num_classes: At least 1.
        class_names: One name per class. Missing names are the class numbers; names beyond `num_classes` are dropped.
        anchors: [levels][A] (width, height) in pixels, positive, as trained. Those of the layer list, in its order of
            levels or in reverse, if the model's are equal up to rounding to float16, so that a checkpoint saved in
            float16 loses nothing.
        strides: Stride of each level, in input pixels per cell.
        image_size: The side that it was trained at, in pixels, if recorded.
        data: Name of the dataset's file without folder and suffix ('coco'), or ''.
        source: Which of the file's models was read: the EMA ('ema') if there is one.
    """

    layers: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    modules: dict[str, ModuleInfo]
    num_classes: int
    class_names: tuple[str, ...]
    anchors: list[list[tuple[float, float]]]
    strides: tuple[int, ...]
    image_size: int | None
    data: str
    source: Literal['ema', 'model']


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Reads a checkpoint of YOLOv5 6.0 to 7.0, or of a fork, without running anything in it.

    Args:
        path: The .pt file.

    Raises:
        ValueError: It is another kind of file, or damaged. The message says which, and what to do.
    """
    with TorchFile(path) as file:
        try:
            return _read(file)
        # A malformed file may raise anything, and must not look like a bug.
        except Exception as error:
            raise ValueError(f'{path}: {str(error)[:_LONGEST_MESSAGE]}') from error


def _read(file: TorchFile) -> Checkpoint:
    saved = {'model': file.root} if is_module(file.root) else as_mapping(file.root)
    source, model = _find_model(saved)
    detect = _find_detect(model)
    layers = plain_copy(model.attributes['yaml'])
    modules = {name: module_info(module) for name, module in walk_modules(model) if name}
    _check_not_fused(model)
    _check_as_its_class(model)
    num_classes = _num_classes(detect, layers)
    strides = _strides(file, detect, model)
    options = as_mapping(saved.get('opt'))
    return Checkpoint(
        layers=layers,
        tensors=read_tensors(file, model),
        modules=modules,
        num_classes=num_classes,
        class_names=_class_names(model.attributes.get('names'), num_classes),
        anchors=stored_anchors(file, detect, layers.get('anchors'), strides),
        strides=strides,
        image_size=_image_size(options),
        data=_file_stem(options.get('data')),
        source=source,
    )


def _find_model(saved: dict[Any, Any]) -> tuple[Literal['ema', 'model'], Record]:
    """The detection model in what was saved, unwrapped from DataParallel."""
    source: Literal['ema', 'model'] = 'ema' if is_module(saved.get('ema')) else 'model'
    model = saved.get(source)
    if source == 'model' and is_module(model) and saved.get('ema'):
        _logger.warning("its running average ('ema') is no model and is left out; the weights are those of 'model'")
    if not isinstance(model, Record) or not is_module(model):
        inner = next((as_mapping(saved[key]) for key in ('model', 'state_dict') if key in saved), saved)
        if any(map(is_tensor, inner.values())):
            raise ValueError(
                'it holds tensors only (a state dict) and not the model that they belong to; load it into its model in '
                "the tree that it comes from, and save that: torch.save({'model': model}, path)"
            )
        raise ValueError(f"it holds no model under 'ema' or 'model'; {_EXPECTED}")
    if 'DataParallel' in model.class_name and 'module' in child_modules(model):
        model = child_modules(model)['module']
    if model.class_name.startswith('ultralytics.'):
        raise ValueError(
            f'it holds an {model.class_name}, a model of the ultralytics package (YOLOv8 or newer, or its anchor-free '
            f'YOLOv5u), which is another network; {_EXPECTED}'
        )
    _check_task(model)
    if not as_mapping(model.attributes.get('yaml')):
        raise ValueError(f'its model, a {model.class_name}, has no layer list (`yaml`); {_EXPECTED}')
    return source, model


def _find_detect(model: Record) -> Record:
    """The last layer, which must be YOLOv5's Detect or like it."""
    rows = list(child_modules(child_modules(model)['model']).values()) if 'model' in child_modules(model) else []
    if not rows:
        raise ValueError(f'its model, a {model.class_name}, has no layers; {_EXPECTED}')
    _check_task(rows[-1])
    if not is_tensor(as_mapping(rows[-1].attributes.get('_buffers')).get('anchors')):
        raise ValueError(f'its last layer, a {rows[-1].class_name}, has no anchors; {_EXPECTED}')
    return rows[-1]


def _check_task(module: Record) -> None:
    kind = _OTHER_MODELS.get(module.class_name.rpartition('.')[2])
    if kind is not None:
        raise ValueError(f'it holds {kind} ({module.class_name}); {_EXPECTED}')


def _check_not_fused(model: Record) -> None:
    for name, module in walk_modules(model):
        children = child_modules(module)
        if module.class_name.rpartition('.')[2] in ('Conv', 'DWConv') and 'conv' in children and 'bn' not in children:
            raise ValueError(
                f'its model was fused: {name} has no batch norm any more. Give the checkpoint from before fuse() or '
                'export'
            )


def _check_as_its_class(model: Record) -> None:
    """Refuses a module that runs other code than that of its class, which alone is known here."""
    for name, module in walk_modules(model):
        hooks = [module.attributes.get(key) for key in ('_forward_hooks', '_forward_pre_hooks')]
        if any(map(as_mapping, hooks)):
            raise ValueError(
                f'{name or "its model"} has a hook that runs with it, as pruned and reparametrised layers have; remove '
                'it (torch.nn.utils.prune.remove, remove_weight_norm), and save the model again'
            )
        if 'forward' in module.attributes:
            raise ValueError(
                f'{name or "its model"} has a forward of its own in place of that of its class, {module.class_name}; '
                'save the model without it'
            )


def _num_classes(detect: Record, layers: dict[str, Any]) -> int:
    found = [value for value in (detect.attributes.get('nc'), layers.get('nc')) if value is not None]
    if not found or any(type(value) is not int or value < 1 for value in found) or len(set(found)) > 1:
        raise ValueError(f'the number of classes is unclear: expected one positive whole number, found {found}')
    if found[0] > MOST_CLASSES:
        raise ValueError(f'it has {found[0]} classes, expected at most {MOST_CLASSES}')
    return found[0]


def _class_names(names: Any, num_classes: int) -> tuple[str, ...]:
    found = dict(enumerate(names)) if isinstance(names, (list, tuple)) else as_mapping(names)
    plain = {str(key): str(name) for key, name in found.items() if isinstance(name, (str, int))}
    own = [str(number) for number in range(num_classes)]
    missing, beyond = [key for key in own if not plain.get(key)], sorted(plain.keys() - set(own))
    if plain and (missing or beyond):
        _logger.warning(
            'its names are not those of its %d classes: %d have no name and are called by their number%s; %d names are '
            'left out%s', num_classes, len(missing), _first(missing), len(beyond), _first([plain[k] for k in beyond]),
        )  # fmt: skip
    return tuple(plain.get(str(number)) or str(number) for number in range(num_classes))


def _first(names: list[str]) -> str:
    return f' ({", ".join(name[:40] for name in names[:5])}{", ..." if len(names) > 5 else ""})' if names else ''


def _strides(file: TorchFile, detect: Record, model: Record) -> tuple[int, ...]:
    records = [module.attributes.get('stride') for module in (detect, model)]
    record = next(filter(is_tensor, records), None)
    values = file.tensor(record).flatten().tolist() if record is not None else []
    if not values or not all(math.isfinite(value) and value >= 1 and value == int(value) for value in values):
        raise ValueError(f'the strides are not positive whole numbers: {values}')
    return tuple(map(int, values))


def _image_size(options: dict[Any, Any]) -> int | None:
    size = options.get('imgsz', options.get('img_size'))
    if isinstance(size, (list, tuple)) and size:
        size = size[0]
    return size if type(size) is int and 32 <= size <= _MAX_IMAGE_SIZE else None


def _file_stem(path: Any) -> str:
    # A pathlib path is a record whose arguments are its parts.
    if isinstance(path, Record) and path.class_name.startswith('pathlib.') and path.args:
        path = path.args[-1]
    # A Windows path splits at both kinds of slash.
    return PureWindowsPath(path).stem if isinstance(path, str) else ''
