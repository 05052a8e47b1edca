"""Recipes: settings of training for what people often do, in configs/train/*.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

from mbv3zoo.config.model import Task
from mbv3zoo.config.training import TrainConfig
from mbv3zoo.utils.text import nearest
from mbv3zoo.utils.yaml import read_mapping
from mbv3zoo.zoo.configs import config_folder

# What of a model is trained before a run.
Start = Literal['nothing', 'backbone', 'model']

AUTO, NONE = 'auto', 'none'
# Up to so many steps of the usual batch, more steps of half the batch learn more (docs/recipe.md).
_FEW_STEPS = 4000
# Up to so many the recipe of that name was measured.
_FEW_PICTURES = 200


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


def choose_recipe(config: TrainConfig, images: int, start: Start, task: Task) -> tuple[Recipe, str] | None:
    """The recipe for a run, and why; None where the defaults are for it.

    Args:
        config: Its settings.
        images: Number of training images.
        start: What is trained already.
        task: Of the model. Segmenters have a recipe for trained weights only.
    """
    steps = config.epochs * images // TrainConfig.model_fields['batch_size'].default
    if (steps > _FEW_STEPS and not config.minutes) or (task == 'segmentation' and start != 'model'):
        return None
    few = f'{images} images x {config.epochs} epochs are few steps'
    if start == 'nothing':
        return None if config.minutes else (read_recipe('few_steps'), few)
    # How many steps `minutes` are is not known: what is learned already is not to be lost in the first ones.
    because = f'the {start} is trained already' + ('' if config.minutes else f', and {few}')
    if start == 'backbone':
        return read_recipe('pretrained_backbone'), because
    is_small = task == 'detection' and images <= _FEW_PICTURES
    return read_recipe('few_pictures' if is_small else 'fine_tune'), because
