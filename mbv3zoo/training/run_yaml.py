"""run.yaml: the settings of a run, in its folder."""

from __future__ import annotations

import logging
from pathlib import Path

import yaml

from mbv3zoo.config.training import RunConfig
from mbv3zoo.data.hub_dataset import PREFIX as HUB_PREFIX
from mbv3zoo.training.optimizer import check_optimizer
from mbv3zoo.training.progress import listed
from mbv3zoo.utils.atomic import atomic_write
from mbv3zoo.utils.yaml import read_mapping

_logger = logging.getLogger(__name__)

CONFIG_NAME = 'run.yaml'


def write_run_config(config: RunConfig, run: Path) -> None:
    """Writes the settings of a run, all of them, so that other defaults of a later version change nothing."""
    text = yaml.safe_dump(config.model_dump(mode='json'), sort_keys=False)
    atomic_write(run / CONFIG_NAME, text.encode('utf-8'))


def read_run_config(run: Path) -> RunConfig:
    """Reads the settings of a run that is resumed; warns of those that are not written there.

    Raises:
        ValueError: The folder holds no run, a setting is unknown or out of range, or the data is gone; the message
            names the file.
    """
    path = run / CONFIG_NAME
    if not path.is_file():
        raise ValueError(f'{run}: no run to resume; {CONFIG_NAME} is not there')
    data = read_mapping(path)
    config = RunConfig.parse(data, path)
    try:
        check_optimizer(config.train.optimizer)
    except ValueError as error:
        raise ValueError(f'{path}: train.{error}') from error
    given = {'loss' if name == 'assigner' else name for name in data.get('train') or ()}
    if lacking := [f'{name}={value!r}' for name, value in config.train if name not in given]:
        _logger.warning('%s: has no %s, which are taken; was it written by another version?', path, listed(lacking))
    for place in (config.data.data, config.data.val_data, config.data.images, config.data.val_images):
        if place and not place.startswith(HUB_PREFIX) and not Path(place).exists():
            raise ValueError(f'{path}: the data {place} is gone; put it back, or write into this file where it is now')
    return config
