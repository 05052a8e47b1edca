"""YAML files and packaged names -> DetectorConfig. Names come from a table; nothing is evaluated."""

from __future__ import annotations

from pathlib import Path

from mbv3zoo.config import DetectorConfig
from mbv3zoo.yaml_file import read_mapping

_PACKAGE = Path(__file__).parent


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


def load_config(path: str | Path) -> DetectorConfig:
    """Reads a detector's YAML file.

    Raises:
        ValueError: The file is missing, is not YAML, or holds an unknown key or a bad value.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f'{path}: no such configuration file; named detectors: {", ".join(named_configs())}')
    data = read_mapping(path)
    if isinstance(data.get('backbone'), list):
        raise ValueError(
            f'{path}: this is a YOLOv5 layer list; expected native settings such as '
            f'"backbone: mbv3_yolo_small" (see configs/mbv3_yolo_small.yaml)'
        )
    return DetectorConfig.parse(data, path)
