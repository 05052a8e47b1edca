"""The detector's config in the config.json of its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mbv3zoo.config.backbone_args import check_backbone_args
from mbv3zoo.config.model import ModelConfig
from mbv3zoo.config.tasks import KINDS, parse_model_config
from mbv3zoo.saving.folder import CONFIG_NAME, read_config, saved_files


def read_folder_config(folder: Path) -> ModelConfig:
    """The config of a detector that was saved in a folder; see `saved_files` for errors."""
    path = saved_files(folder)[CONFIG_NAME]
    return parse_config(read_config(path), folder)


def parse_config(data: dict[str, Any], source: Any) -> ModelConfig:
    """The detector's config in what stands in config.json.

    Args:
        data: What stands there.
        source: Name used in error messages.

    Raises:
        ValueError: It is another library's, or says what it must not.
    """
    library = data.get('library_name')
    settings = next((data[kind] for kind in KINDS.values() if isinstance(data.get(kind), dict)), None)
    if library != 'mbv3zoo' or settings is None:
        raise ValueError(
            f"{source}: config.json is for the library {library!r} and has no settings of a detector ('detector'); "
            'expected what mbv3zoo saves'
        )
    config = parse_model_config(settings, source)
    check_backbone_args(config.backbone_args, f'{source}: config.json')
    return config
