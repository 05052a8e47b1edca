"""What `save_pretrained` wrote, wherever it is: a folder, the package, the Hub's cache, the Hub."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mbv3zoo import hub
from mbv3zoo.config.license_record import LicenseRecord
from mbv3zoo.config.model import ModelConfig
from mbv3zoo.licenses import fresh_record
from mbv3zoo.saving import folder as saved_folder
from mbv3zoo.saving.config import parse_config
from mbv3zoo.saving.digests import ACCEPT, accept_on_hub
from mbv3zoo.zoo.registry import HubWeights, pull_weights
from mbv3zoo.zoo.source import Source

if TYPE_CHECKING:
    # At run time in the methods: which detector is saved is told without torch.
    import torch

    from mbv3zoo.models.base_network import ModelNetwork
    from mbv3zoo.models.weights import SavedWeights
    from mbv3zoo.zoo.settings import Given


class SavedSource(Source):
    """A saved detector, wherever it is.

    Attributes:
        place: The folder or repository, for messages about its files.
        advice: What to do where one of them is damaged.
        accept: How weights that were exchanged on purpose are loaded.
    """

    is_saved = True
    place: str
    advice: str
    accept: str

    @property
    @abstractmethod
    def files(self) -> dict[str, Path]:
        """Name -> path of the files that a detector is loaded from."""

    @abstractmethod
    def all_files(self) -> dict[str, Path]:
        """Name -> path of all files, card and image too, all of one save."""

    def without_effect(self, given: Given, pretrained: bool) -> str | None:
        """As `Source.without_effect`: all weights and their statistics are those that were saved."""
        useless = {'pretrained_cfg', 'pretrained_cfg_overlay', *(['checkpoint_path'] if pretrained else [])}
        if found := sorted(key for key in useless if given.build_args.get(key) is not None):
            return (
                f'{self.name}: {", ".join(found)} has no effect on a saved detector, which has its own weights: leave '
                'it out'
            )
        return None

    def read_config(self, pretrained: bool = False, scaling: Mapping[str, Any] | None = None) -> ModelConfig:
        """As `Source.read_config`."""
        with self.named():
            if pretrained:
                from mbv3zoo.models.weights import check_size

                # Read together: another process may save just now.
                self._config = parse_config(self._saved.config, self.place)
                check_size(self._config, self.read_weights(), self.name)
            return self._config

    def identity(self) -> tuple[ModelConfig, dict[str, str]] | None:
        """Its config, and the SHA-256 of each of its files of weights, without reading the tensors and without torch.

        None where something is wrong with its files, which loading tells.

        Raises:
            ValueError, OSError: There are no files, or they cannot be fetched.
        """
        files = self.files
        try:
            with self.named():
                data, digests = saved_folder.read_identity(lambda: files)
                return parse_config(data, self.place), digests
        except (ValueError, OSError):
            return None

    def at_size(self, base: ModelConfig, config: ModelConfig, pretrained: bool) -> ModelConfig:
        """As `Source.at_size`: the backbone is built for the size that its weights were trained at."""
        if not pretrained:
            return _with_args(config, {k: v for k, v in config.backbone_args.items() if k != 'img_size'})
        from mbv3zoo.models.sizes import takes
        from mbv3zoo.models.timm_model import make_plan

        # Position embeddings have that size. timm resamples them in each forward pass, in the families that can.
        plan = make_plan(base.backbone, base.image_size, base.in_chans, **base.backbone_args)
        if 'img_size' not in plan.build_args:
            return config
        args = {**config.backbone_args, 'img_size': plan.build_args['img_size']}
        if plan.bound and not takes(base.backbone, base.image_size, config.image_size, base.in_chans, **args):
            raise ValueError(
                f'the weights were trained on pictures of {base.image_size}, and {base.backbone!r} takes no others '
                f'with them, given {config.image_size}; leave image_size as it is, or train anew with pretrained=False'
            )
        return _with_args(config, args)

    def licenses(self, config: ModelConfig, pretrained: bool, given: Mapping[str, Any]) -> LicenseRecord:
        """As `Source.licenses`; the weights keep the record that was saved with them."""
        if pretrained:
            return config.licenses
        # What was saved is about weights that are not loaded.
        declared = LicenseRecord() if config.licenses == self._config.licenses else config.licenses
        return fresh_record(config.backbone, False, given, declared)

    def load(self, network: ModelNetwork) -> None:
        """As `Source.load`, all weights; for other classes those of the same name are kept."""
        from mbv3zoo.models.weights import load_saved

        with self.named():
            load_saved(network, self.read_weights(), self._config.class_names, self.name)

    def read_weights(self) -> SavedWeights:
        """The tensors of its two files, which come from one save.

        Raises:
            ValueError: A file is damaged, or they come from two saves.
        """
        from mbv3zoo.models.weights import SavedWeights

        with self.named():
            return SavedWeights(self._saved.backbone, self._saved.head)

    @property
    def dtype(self) -> torch.dtype:
        """The type that the weights had in memory when they were saved.

        Raises:
            ValueError: It is none that weights can have.
        """
        from mbv3zoo.models.dtypes import parse_dtype

        return parse_dtype(self._saved.config.get('dtype', 'float32'), f'{self.place}: dtype in config.json')

    @cached_property
    def _saved(self) -> saved_folder.SavedFiles:
        return saved_folder.read_saved(lambda: self.files, self.advice, self.accept)

    @cached_property
    def _config(self) -> ModelConfig:
        data = saved_folder.read_config(self.files[saved_folder.CONFIG_NAME], self.advice)
        return parse_config(data, self.place)


class FolderSource(SavedSource):
    """A saved detector in a folder on this disk, or inside the package.

    Args:
        name, options: As for `Source`.
        folder: The folder; of a training run it is the one of its best weights.
        is_path: Whether the name is a path, not that of packaged weights.
    """

    advice = 'Save the detector again, or copy the file again from where it is whole.'
    accept = ACCEPT

    def __init__(self, name: str | Path, options: hub.PullOptions, folder: Path, is_path: bool = False) -> None:
        super().__init__(name, options)
        self.folder, self.place = folder, str(folder)
        self.path = folder if is_path else None

    @property
    def files(self) -> dict[str, Path]:
        """As `SavedSource.files`."""
        if (revision := self.options.get('revision')) is not None:
            raise ValueError(
                f'revision={revision!r} was given for the folder {self.place!r}, but only repositories on the Hub have '
                'revisions: leave it out.'
            )
        return saved_folder.saved_files(self.folder)

    def all_files(self) -> dict[str, Path]:
        """As `SavedSource.all_files`."""
        return saved_folder.all_files(self.folder)


class HubSource(SavedSource):
    """A saved detector in a repository on the Hub."""

    advice = 'If the repository itself is whole, load it once more with force_download=True.'

    def __init__(self, name: str | Path, options: hub.PullOptions, repository: str | HubWeights) -> None:
        super().__init__(name, options)
        self.repository = repository
        self.place = repository.repo_id if isinstance(repository, HubWeights) else repository
        self.accept = accept_on_hub(self.place)

    @cached_property
    def files(self) -> dict[str, Path]:
        """As `SavedSource.files`; those of a name come from the cache where they are there."""
        if isinstance(self.repository, HubWeights):
            return pull_weights(self.repository, **self.options)
        return hub.pull(self.repository, **self.options)

    def all_files(self) -> dict[str, Path]:
        """As `SavedSource.all_files`."""
        from huggingface_hub.errors import EntryNotFoundError

        files = dict(self.files)
        options: hub.PullOptions = {**self.options, 'revision': files[saved_folder.CONFIG_NAME].parent.name}
        for name in (saved_folder.CARD_NAME, saved_folder.PICTURE_NAME):
            try:
                files |= hub.pull(self.place, (name,), **options)
            except ValueError as error:
                if not isinstance(error.__cause__, EntryNotFoundError):
                    raise
        return files


def _with_args(config: ModelConfig, args: dict[str, Any]) -> ModelConfig:
    return config.model_copy(update={'backbone_args': args})
