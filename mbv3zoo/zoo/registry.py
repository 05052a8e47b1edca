"""The detectors that have a name, ours and those of other packages, and where the weights of each `name.tag` are.

A tag's weights are looked for in the package, then in the Hub's cache, then on the Hub.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Unpack

from mbv3zoo import hub
from mbv3zoo.config.model import ModelConfig
from mbv3zoo.saving.folder import LOADED_NAMES, saved_files
from mbv3zoo.zoo import configs as config_loader
from mbv3zoo.zoo.timm_names import is_timm_name, may_be_own_tag

# The organisation on the Hub that has weights of our detectors which are not in the package.
ORG_VARIABLE = 'MBV3ZOO_ORG'

_NAME = re.compile('[a-z][a-z0-9_]*')
_TAG = re.compile('[a-z0-9_]+')


class HubWeights(NamedTuple):
    """Weights in a repository on the Hub: its id 'org/name'; a branch, tag or commit, or None for the main branch."""

    repo_id: str
    revision: str | None = None


class _Entry(NamedTuple):
    config: ModelConfig
    weights: dict[str, Path | HubWeights]  # by tag


_registered: dict[str, _Entry] = {}


def register_detector(
    name: str, *, config: str | Path | ModelConfig, weights: Mapping[str, str | Path] | None = None
) -> None:
    """Gives a detector of another package a name, as `mbv3_yolo_small` is one of ours.

    Call it where the package is imported. `mbv3zoo.create_detector(name)` then builds the detector,
    `mbv3zoo.Detector.from_pretrained('name.tag')` loads its weights, and `mbv3zoo.list_detectors()` lists it. To
    register the same again changes nothing.

    Args:
        name: Small letters, digits and underscores, a letter first; neither one of ours nor of a timm model, except
            of the one that is the detector's own backbone.
        config: A `DetectorConfig`, or a YAML file of one.
        weights: Tag -> where they are: a folder that `save_pretrained` wrote (a `Path`, or a string with an absolute
            path), or a repository on the Hub, 'org/name' or 'org/name@revision'. A tag is of small letters, digits and
            underscores.

    Raises:
        ValueError: The name or a tag is not well-formed, the name is taken, the configuration is not valid, or there
            is no detector in a folder. Nothing is registered then.

    Example:
        >>> config = mbv3zoo.DetectorConfig(backbone='mbv3_yolo_small', class_names=['cat', 'dog'])
        >>> mbv3zoo.register_detector('pets_small', config=config)
        >>> mbv3zoo.list_detectors('pets*')
        ['pets_small']
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f'cannot register a detector as {name!r}: expected small letters, digits and underscores, a letter first, '
            "such as 'mbv3_yolo_small'. Tags are given with the weights."
        )
    if not isinstance(config, (ModelConfig, str, Path)) or not isinstance(weights or {}, Mapping):
        raise ValueError(
            f'cannot register the detector {name!r}: expected config as a DetectorConfig or a YAML file and weights as '
            f'{{tag: place}}, given {type(config).__name__} and {type(weights).__name__}.'
        )
    config = config if isinstance(config, ModelConfig) else config_loader.load_config(config)
    entry = _Entry(config, {tag: _place(name, tag, place) for tag, place in (weights or {}).items()})
    known = find_config(name)
    if known is not None:
        if entry != _Entry(known, _tags(name)):
            raise ValueError(
                f'cannot register a detector as {name!r}: there is one of that name, with other settings or weights. '
                'Choose another name.'
            )
        return
    if is_timm_name(name) and config.backbone.split('.')[0] != name:
        raise ValueError(
            f'cannot register a detector as {name!r}: that is a timm model, and not the backbone of this detector, '
            f'which is {config.backbone!r}. Choose another name.'
        )
    _registered[name] = entry


def detector_names() -> list[str]:
    """Names of all detectors, packaged and registered, without tags, sorted."""
    return sorted({*config_loader.named_configs(), *_registered})


def find_config(name: str) -> ModelConfig | None:
    """Settings of a named detector, or None where no detector has this name; for names without a tag."""
    if name in _registered:
        return _registered[name].config
    path = config_loader.named_configs().get(name)
    return None if path is None else config_loader.load_config(path)


def known_weights() -> dict[str, Path | HubWeights]:
    """`name.tag` -> folder or repository of all weights of detectors, packaged and registered, sorted by name."""
    registered = {f'{name}.{tag}': place for name, entry in _registered.items() for tag, place in entry.weights.items()}
    return dict(sorted((config_loader.named_weights() | registered).items()))


def find_weights(name: str) -> Path | HubWeights | None:
    """Where a detector's weights are.

    Args:
        name: 'mbv3_yolo_small.synth'.

    Returns:
        A folder, or a repository for `pull_weights`. None where `name` is not the tagged name of a detector: without a
        tag, with a tag that timm has for the backbone alone, a file, an id on the Hub.

    Raises:
        ValueError: The detector has no such tag; those it has are named.
    """
    known = known_weights()
    if name in known:
        return known[name]
    detector, dot, tag = name.partition('.')
    if not dot or '/' in name or tag in ('yaml', 'yml') or detector not in detector_names():
        return None
    org = os.environ.get(ORG_VARIABLE)
    hosted = org if _TAG.fullmatch(tag) and detector in config_loader.named_configs() else None
    if hosted and not may_be_own_tag(tag):
        return HubWeights(_repository_of(hosted, name))
    import timm  # slow to import, and not needed for most names

    backbone_weights = timm.list_pretrained(detector)
    if name in backbone_weights:
        return None
    if hosted:
        return HubWeights(_repository_of(hosted, name))
    tagged = sorted({*backbone_weights, *(f'{detector}.{tag}' for tag in _tags(detector))})
    hint = f'{detector!r} has the weights {", ".join(tagged)}' if tagged else f'{detector!r} has no weights'
    more = f'; more may be on the Hub: set {ORG_VARIABLE} to the organisation that has them'
    raise ValueError(
        f'unknown detector or backbone {name!r}; {hint}' + (more if detector not in _registered else '') + '.'
    )


def pull_weights(
    weights: HubWeights, names: Sequence[str] = LOADED_NAMES, **options: Unpack[hub.PullOptions]
) -> dict[str, Path]:
    """Files of a detector: from the Hub's cache without a question to the Hub where all are there, else from the Hub.

    What is in the cache stays as it is when the repository changes; `force_download` renews it.

    Args:
        weights: The repository.
        names: Which files.
        **options: As for `mbv3zoo.hub.pull`, which see for the errors; `revision` instead of the registered one.

    Returns:
        Name -> path in the cache.
    """
    if options.get('revision') is None:
        options['revision'] = weights.revision
    if not (options.get('local_files_only') or options.get('force_download')):
        try:
            cached: hub.PullOptions = {**options, 'local_files_only': True}
            return hub.pull(weights.repo_id, names, **cached)
        except FileNotFoundError:
            pass  # not in the cache, or not whole
    return hub.pull(weights.repo_id, names, **options)


def _tags(detector: str) -> dict[str, Path | HubWeights]:
    prefix = f'{detector}.'
    return {name.removeprefix(prefix): place for name, place in known_weights().items() if name.startswith(prefix)}


def _place(name: str, tag: Any, place: str | Path) -> Path | HubWeights:
    """Where the weights are that were registered under `tag`, checked."""
    if not isinstance(tag, str) or not _TAG.fullmatch(tag):
        raise ValueError(
            f'cannot register the detector {name!r}: its tag {tag!r} is not of small letters, digits and underscores.'
        )
    try:
        if Path(place).is_absolute() or not isinstance(place, str):
            # The working folder may be another one when the weights are loaded.
            folder = Path(place).resolve()
            saved_files(folder)
            return folder
        repo_id, at, revision = place.partition('@')
        hub.check_repo_id(repo_id)
        if at and not revision:
            raise ValueError(f'{place!r} ends in an @ without a revision')
    except (ValueError, TypeError) as error:
        raise ValueError(f'cannot register {name}.{tag}: {error}') from error
    return HubWeights(repo_id, revision or None)


def _repository_of(org: str, name: str) -> str:
    repo_id = f'{org}/{name}'
    try:
        hub.check_repo_id(repo_id)
    except ValueError as error:
        raise ValueError(f'{ORG_VARIABLE}={org!r} is not the name of an organisation on the Hub. {error}') from error
    return repo_id
