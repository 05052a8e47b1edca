"""Recipes: settings of training for what people often do, in configs/train/*.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.utils.text import nearest
from mbv3zoo.utils.yaml import read_mapping
from mbv3zoo.zoo.configs import config_folder

AUTO, NONE = 'auto', 'none'
# Up to so many steps of the usual batch, more steps of half the batch learn more (docs/recipe.md).
_FEW_STEPS = 4000


class Recipe(NamedTuple):
    """Settings of training with a name.

    Attributes:
        name: Its name, or the file.
        settings: Fields of `TrainConfig`.
    """

    name: str
    settings: dict[str, Any]


def recipe_names() -> list[str]:
    """Names of the packaged recipes, sorted."""
    return sorted(path.stem for path in (config_folder() / 'train').glob('*.yaml'))


def read_recipe(name: str) -> Recipe:
    """A packaged recipe by its name, or one in a YAML file.

    Raises:
        ValueError: There is none, or a setting is unknown or out of range.

    Example:
        >>> read_recipe('coco_300').settings['epochs']
        300
    """
    path = Path(name)
    if path.suffix not in ('.yaml', '.yml'):
        path = config_folder() / 'train' / f'{name}.yaml'
        if name not in recipe_names():
            known = [AUTO, NONE, *recipe_names()]
            raise ValueError(f'recipe: there is no {name!r}; {nearest(name, known, f"expected one of {known}")}')
    elif not path.is_file():
        raise ValueError(f'recipe: {name}: there is no such file; packaged are {", ".join(recipe_names())}')
    settings = read_mapping(path)
    TrainConfig.parse(settings, path)
    return Recipe(name, settings)


def choose_recipe(config: TrainConfig, images: int, trained: bool) -> tuple[Recipe, str] | None:
    """The recipe for a run, and why; None where the defaults are for it.

    Args:
        config: Its settings.
        images: Number of training images.
        trained: Whether it starts from the weights of a whole detector.
    """
    steps = config.epochs * images // TrainConfig.model_fields['batch_size'].default
    few = f'{images} images x {config.epochs} epochs are few steps'
    if config.minutes:
        # How many steps there will be is not known. What is learned already is not to be lost in the first ones.
        return (read_recipe('fine_tune'), 'it starts from a trained detector') if trained else None
    if steps > _FEW_STEPS:
        return None
    if trained:
        return read_recipe('fine_tune'), f'it starts from a trained detector, and {few}'
    return read_recipe('few_steps'), few
