"""YAML files and packaged names -> the configs of models. Names come from a table; nothing is evaluated."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.config.model import ModelConfig
from mbv3zoo.config.tasks import parse_model_config
from mbv3zoo.models.anchors import turned

_logger = logging.getLogger(__name__)

_PACKAGE = Path(__file__).parents[1]


def config_folder() -> Path:
    """The folder of named configs: inside the wheel, or at the top of a checkout."""
    packaged = _PACKAGE / 'configs'
    return packaged if packaged.is_dir() else _PACKAGE.parent / 'configs'


def named_configs() -> dict[str, Path]:
    """Name -> YAML file of every packaged detector, sorted by name."""
    return {path.stem: path for path in sorted(config_folder().glob('*.yaml'))}


def named_weights() -> dict[str, Path]:
    """`name.tag` -> folder of every detector whose weights are inside the package, sorted by name."""
    folders = (path.parent for path in (_PACKAGE / 'weights').glob('*/config.json'))
    return {folder.name: folder for folder in sorted(folders)}


def is_config_file(name: Any) -> bool:
    """Whether a detector's name means a YAML file."""
    return str(name).endswith(('.yaml', '.yml')) or (isinstance(name, Path) and not name.is_dir())


def load_config(path: str | Path, **scaling: Any) -> ModelConfig:
    """Reads a detector's YAML file: settings, or a layer list of YOLOv5's.

    Settings give anchors per stride, finest first, and they are kept so. Of a layer list that gives those of the
    coarsest stride first the order is reversed, as YOLOv5 does, and this is logged.

    Args:
        path: The file.
        **scaling: `depth_multiple`, `width_multiple`, `activation` to read a layer list with instead of its own.

    Raises:
        ValueError: The file is missing, is not YAML, or holds an unknown key or a bad value.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f'{path}: no such configuration file; named detectors: {", ".join(named_configs())}')
    # Here, as they are slow to import, with timm; a saved detector is found by its name without them.
    from mbv3zoo.layer_lists.parse import is_layer_list, parse_layer_list
    from mbv3zoo.layer_lists.to_config import to_config
    from mbv3zoo.utils.yaml import read_mapping

    data = read_mapping(path)
    if is_layer_list(data):
        return _in_order(to_config(parse_layer_list({**data, **scaling}, path), path), path)
    return parse_model_config(data, path)


def _in_order(config: DetectorConfig, path: Path) -> DetectorConfig:
    """The config of a layer list with the anchors of the finest stride first."""
    if isinstance(config.anchors, int) or turned(config.anchors) == config.anchors:
        return config
    _logger.warning(
        '%s: its anchors are given for the coarsest stride first; they are taken in reverse order, as YOLOv5 does', path
    )
    return config.model_copy(update={'anchors': turned(config.anchors)})
