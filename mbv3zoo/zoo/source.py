"""Where a detector comes from. There is a class for each kind of place; `mbv3zoo.zoo.resolve` finds it by a name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mbv3zoo.config.license_record import LicenseRecord
from mbv3zoo.config.model import ModelConfig
from mbv3zoo.hub.options import PullOptions
from mbv3zoo.licenses import fresh_record
from mbv3zoo.models.out_of_memory import is_out_of_memory

if TYPE_CHECKING:
    # Not at run time: a saved detector whose graph is kept is opened without torch.
    from mbv3zoo.models.base_network import ModelNetwork
    from mbv3zoo.zoo.settings import Given

# What the names of backbones in repositories of timm's begin with.
TIMM_PREFIXES = ('hf-hub:', 'local-dir:')


class Source(ABC):
    """Where a detector comes from: it reads its config, knows its licences, and loads its weights.

    Nothing is read before it is asked for.

    Args:
        name: What the user asked for: the name used in error messages.
        options: How files are fetched from the Hub.

    Attributes:
        is_saved: Whether its weights are those of a whole detector; else they are the backbone's alone.
        path: The file or folder that the name is; None if it is another name.
    """

    is_saved: ClassVar[bool] = False

    def __init__(self, name: str | Path | ModelConfig, options: PullOptions) -> None:
        self.name = name
        self.options = options
        self.path: Path | None = None

    def without_effect(self, given: Given, pretrained: bool) -> str | None:
        """A sentence about settings that would have no effect here; None if all have one.

        Args:
            given: What the user gave.
            pretrained: The weights will be loaded.
        """
        return None

    @abstractmethod
    def read_config(self, pretrained: bool = False, scaling: Mapping[str, Any] | None = None) -> ModelConfig:
        """Reads the config.

        Args:
            pretrained: The weights will be loaded too: they are fetched from the same commit, and must be as large as
                the config says.
            scaling: `depth_multiple`, `width_multiple`, `activation` to read a layer list with instead of its own.

        Raises:
            ValueError: There is no detector or backbone, or what is there is damaged.
        """

    def at_size(self, base: ModelConfig, config: ModelConfig, pretrained: bool) -> ModelConfig:
        """The config for another image size than the one that was read.

        Args:
            base: The config as it was read.
            config: The config with the new image size.
            pretrained: The weights will be loaded.

        Raises:
            ValueError: The weights do not work at that size.
        """
        return config

    def licenses(self, config: ModelConfig, pretrained: bool, given: Mapping[str, Any]) -> LicenseRecord:
        """What a detector from here is made from, before any training.

        Args:
            config: Its config.
            pretrained: With its weights.
            given: Arguments of `timm.create_model` from the user.
        """
        return fresh_record(config.backbone, pretrained, given, config.licenses)

    def build_args(self, config: ModelConfig, pretrained: bool, given: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments of `timm.create_model` for one build: those given, and where timm finds the backbone's weights."""
        return dict(given)

    @contextmanager
    def named(self) -> Iterator[None]:
        """Context manager: what a record or its weights raise is told as a fault of what the user named.

        timm, torch and safetensors raise errors of many types where a record asks for what does not exist, or its
        weights do not fit. Those of the disk, the network and memory pass as they are.

        Raises:
            ValueError: With the name; the error is its cause.
        """
        try:
            yield
        except (OSError, ImportError, MemoryError):
            raise
        except Exception as error:
            if is_out_of_memory(error) or (isinstance(error, ValueError) and str(self.name) in str(error)):
                raise
            raise ValueError(f'{self.name}: {error or type(error).__name__}') from error

    @abstractmethod
    def load(self, network: ModelNetwork) -> None:
        """Loads into a network, built from `config`, those weights that timm has not loaded; checks that none lack."""
