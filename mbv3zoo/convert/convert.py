"""A YOLOv5 checkpoint -> a detector, with the same numbers."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from timm.models import is_model
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from mbv3zoo.config.detector import STRIDES, DetectorConfig
from mbv3zoo.convert.checkpoint import Checkpoint, read_checkpoint
from mbv3zoo.convert.same_modules import activation_of, check_network, check_rows
from mbv3zoo.convert.weights import match_network, rename
from mbv3zoo.detector import Detector
from mbv3zoo.layer_lists.parse import KEYS, LayerList, parse_layer_list
from mbv3zoo.layer_lists.to_config import to_config
from mbv3zoo.licenses import NO_WEIGHTS
from mbv3zoo.models.anchors import doubt
from mbv3zoo.models.head import DetectHead
from mbv3zoo.models.layer_lists.blocks import block_names
from mbv3zoo.models.layer_lists.layer_graph import LayerGraph
from mbv3zoo.models.layers import NORM_LAYER
from mbv3zoo.models.pyramid import PyramidBackbone
from mbv3zoo.models.weights import SavedWeights, check_size, load_weights
from mbv3zoo.utils.folders import claimed_folder
from mbv3zoo.utils.text import is_text

_logger = logging.getLogger(__name__)

# The licence that YOLOv5 and its weights are published under.
YOLOV5_LICENSE = 'agpl-3.0'
_LONGEST_MESSAGE = 1000
_LONGEST_NAME = 200
# What the MobileNetV3 of a hand-patched tree may be: with squeeze channels as the paper's figure reads, and as its
# authors' code has them.
_MOBILENETS = ('mbv3_yolo_large_exact_se', 'mbv3_yolo_small_exact_se', 'mbv3_yolo_large', 'mbv3_yolo_small')


class Converted(NamedTuple):
    """A detector in evaluation mode, and the checkpoint that it was made from."""

    detector: Detector
    checkpoint: Checkpoint


def convert_checkpoint(path: str | Path, folder: str | Path, license: str = YOLOV5_LICENSE) -> Converted:
    """Writes a YOLOv5 checkpoint as a detector's folder. Nothing in the checkpoint is run.

    Args:
        path: A .pt file of YOLOv5 6.0 to 7.0: official, trained further, or from a tree whose backbone was replaced by
            hand.
        folder: New folder for the detector.
        license: The licence of the weights, for the record.

    Raises:
        ValueError: The file is no such checkpoint, a layer is unknown, tensors do not fit, or the folder is in use.
            Nothing is written then.
    """
    with claimed_folder(folder) as claimed:
        converted = load_yolov5(path, license)
        card = {'command': f'mbv3zoo convert {Path(path).name}'}
        converted.detector.save_pretrained(claimed, card_data=card)
    return converted


def load_yolov5(path: str | Path, license: str = YOLOV5_LICENSE) -> Converted:
    """As `convert_checkpoint`, without writing anything."""
    if license.strip().lower() == NO_WEIGHTS.license:
        raise ValueError(
            f"license={license!r} would say that there are no imported weights; give their licence, or 'unknown'"
        )
    checkpoint = read_checkpoint(path)
    try:
        network = _find_network(checkpoint)
        layers = _read_layers(checkpoint, network, path)
        config = _make_config(checkpoint, layers, path, license)
        # What the file's own rows ask for is not trusted more than a config from anywhere.
        check_size(config, SavedWeights({}, checkpoint.tensors), 'its layer list')
        detector = Detector(config)
        if detector.strides != checkpoint.strides:
            found = f'{list(detector.strides)}, but its Detect has {list(checkpoint.strides)}'
            raise ValueError(f'its layer list makes the strides {found}')
        _check_modules(checkpoint, layers, detector, path)
        if sentence := doubt(detector.config.anchors, detector.strides, detector.config.image_size):
            _logger.warning('%s: %s', path, sentence)
        state, eps = _make_state(checkpoint, layers, detector)
        _adapt_eps(detector, state, eps)
        load_weights(detector, state, path)
    # As in `read_checkpoint`; a block of a user's own may raise anything too.
    except Exception as error:
        raise ValueError(f'{path}: {str(error).removeprefix(f"{path}: ")[:_LONGEST_MESSAGE]}') from error
    return Converted(detector.eval(), checkpoint)


def _find_network(checkpoint: Checkpoint) -> str | None:
    """The timm model that is the first layer, if that is a whole network; found by its tensors, not by its name."""
    rows = checkpoint.layers.get('backbone')
    if not isinstance(rows, list) or not rows or not isinstance(rows[0], list) or len(rows[0]) != 4:
        raise ValueError('its layer list has no rows [from, number, module, args] under backbone')
    block = str(rows[0][2])
    if block in block_names():
        return None
    tensors = _first_layer(checkpoint)
    names = [block] if is_model(block) else _MOBILENETS
    for name in names:
        if match_network(tensors, _feature_model(name)) is not None:
            return name
    raise ValueError(
        f'its first layer, a {block} of {len(tensors)} tensors, is no block that is known and no network that can be '
        f'matched: compared with {", ".join(names)}. A block of your own is added with mbv3zoo.register_block.'
    )


def _read_layers(checkpoint: Checkpoint, network: str | None, path: str | Path) -> LayerList:
    data = {key: value for key, value in checkpoint.layers.items() if key in KEYS}
    if network is not None:
        data['backbone'] = [[-1, 1, network, []], *data['backbone'][1:]]
    # The tree's code may have set another activation than the layer list.
    data |= {'nc': checkpoint.num_classes, 'activation': activation_of(checkpoint.modules, network is not None)}
    layers = parse_layer_list(data, path)
    # Training may have fitted them to the data.
    layers = layers._replace(num_classes=checkpoint.num_classes, anchors=tuple(map(tuple, checkpoint.anchors)))
    if network in _MOBILENETS:
        norms = {(norm['eps'], norm['momentum']) for norm in _norms(checkpoint, inside=True)}
        if len(norms) == 1:
            eps, momentum = norms.pop()
            layers = layers._replace(network=(network, {'bn_eps': eps, 'bn_momentum': momentum}))
    return layers


def _make_config(checkpoint: Checkpoint, layers: LayerList, path: str | Path, license: str) -> DetectorConfig:
    unit = max(*checkpoint.strides, STRIDES[-1])
    side = checkpoint.image_size or (1280 if unit > STRIDES[-1] else 640)
    record = {
        'backbone': NO_WEIGHTS,
        'imported': {'license': license, 'source': f'YOLOv5 checkpoint {_printable(Path(path).name)}'},
        'data': ({'source': _printable(checkpoint.data)},) if checkpoint.data else (),
    }
    config = to_config(layers, path).model_dump() | {
        'class_names': _unique(checkpoint.class_names),
        'image_size': -(-side // unit) * unit,
        # YOLOv5 takes images as they are.
        'mean': (0.0,) * layers.in_chans,
        'std': (1.0,) * layers.in_chans,
        'licenses': record,
    }
    return DetectorConfig.parse(config, path)


def _check_modules(checkpoint: Checkpoint, layers: LayerList, detector: Detector, path: str | Path) -> None:
    """Refuses a checkpoint whose modules are not what its layer list says: the numbers would be others."""
    rows = Detector(to_config(layers, path, named=False), device='meta')
    assert isinstance(rows.neck, LayerGraph)
    built = {int(number): layer for number, layer in rows.neck.layers.items()}
    if layers.network:
        check_network(checkpoint.modules, detector.backbone.model)
    else:
        backbone: Any = rows.backbone.model
        built |= {int(number): layer for number, layer in backbone.model.graph.layers.items()}
    assert isinstance(rows.head, DetectHead)
    built[layers.first + len(layers.rows)] = rows.head.convs
    check_rows(checkpoint.modules, layers, built)


def _make_state(
    checkpoint: Checkpoint, layers: LayerList, detector: Detector
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """The detector's state dict, and the eps that each of its BatchNorms had, by its name."""
    tensors = checkpoint.tensors
    state = rename(tensors, layers, detector.config)
    norms = [name for name, module in detector.named_modules() if isinstance(module, _BatchNorm)]
    inside = [name for name in norms if layers.network and name.startswith('backbone.model.')]
    rest = _norms(checkpoint, inside=False) if layers.network else _norms(checkpoint)
    eps = {norm['eps'] for norm in rest}
    if len(eps) > 1:
        raise ValueError(f'its BatchNorms have several eps, {sorted(eps)}; expected one')
    if others := sorted({norm['momentum'] for norm in rest} - {NORM_LAYER.keywords['momentum']}):
        _logger.warning(
            'its BatchNorms have the momentum %s, and here %s, if it is trained further',
            ', '.join(map(str, others)), NORM_LAYER.keywords['momentum'],
        )  # fmt: skip
    own = dict.fromkeys(norms, *eps) if eps else {}
    if layers.network:
        matched = match_network(_first_layer(checkpoint), detector.backbone.model)
        state |= {f'backbone.model.{name}': tensor for name, tensor in (matched or {}).items()}
        own |= dict(zip(inside, (norm['eps'] for norm in _norms(checkpoint, inside=True)), strict=True))
    return state, own


def _adapt_eps(detector: Detector, state: dict[str, Tensor], eps: Mapping[str, float]) -> None:
    """Where a BatchNorm here has another eps, its variance makes up for it: only their sum counts."""
    for name, own in eps.items():
        norm = detector.get_submodule(name)
        assert isinstance(norm, _BatchNorm)
        difference = own - norm.eps
        key = f'{name}.running_var'
        if abs(difference) > 1e-9 and key in state:
            state[key] = state[key] + difference
            if (state[key] < 0).any():
                raise ValueError(f'the variance of {name} is smaller than the eps of the BatchNorm here')


def _first_layer(checkpoint: Checkpoint) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in checkpoint.tensors.items() if name.startswith('model.0.')}


def _norms(checkpoint: Checkpoint, inside: bool | None = None) -> list[dict[str, Any]]:
    """The attributes of all BatchNorms, or of those inside the first layer, or of those outside it."""
    norms = {
        name: info.attributes
        for name, info in checkpoint.modules.items()
        if {'eps', 'momentum'} <= info.attributes.keys() and inside in (None, name.startswith('model.0.'))
    }
    for name, norm in norms.items():
        for key in ('eps', 'momentum'):
            if not isinstance(norm[key], float) or not 0 < norm[key] <= 1:
                raise ValueError(f'the BatchNorm {name} has {key}={norm[key]!r}, expected a number from 0 to 1')
    return list(norms.values())


def _feature_model(name: str) -> torch.nn.Module:
    return PyramidBackbone(name, (640, 640), device='meta').model


def _printable(text: str) -> str:
    return ''.join(c if is_text(c) else ' ' for c in text[:_LONGEST_NAME])


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names as a config takes them: one line of text each, none empty, and none twice."""
    names = tuple(_printable(name) if _printable(name).strip() else str(i) for i, name in enumerate(names))
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f'{name} ({seen[name]})')
    if tuple(unique) != names:
        _logger.warning('classes of one name were numbered: %s', ', '.join(sorted(set(unique) - set(names))))
    return tuple(unique)
