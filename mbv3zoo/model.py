"""What detectors and segmenters have in common for their users: saved, published, loaded, exported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Self, Unpack

import torch

from mbv3zoo.cards.folder import renew_card
from mbv3zoo.cards.mark import detector_mark
from mbv3zoo.cards.render import render_card
from mbv3zoo.config.tasks import KINDS
from mbv3zoo.export.exporting import Exporting
from mbv3zoo.hub import PullOptions, PushOptions
from mbv3zoo.hub.publish import publish_folder
from mbv3zoo.licenses import check_allowed, license_id, under_license
from mbv3zoo.models.dtypes import dtype_name
from mbv3zoo.models.stored import read_network
from mbv3zoo.models.timm_repository import stock_architecture, timm_config
from mbv3zoo.saving import folder as saved_folder
from mbv3zoo.utils.disk import temporary_folder
from mbv3zoo.version import __version__
from mbv3zoo.zoo.resolve import resolve_saved
from mbv3zoo.zoo.saved import SavedSource


class Model(Exporting):
    """A network with what its users do with it; `Detector` and `Segmenter` add how they predict.

    `Model.from_pretrained` loads either, as the config says.
    """

    def __repr__(self) -> str:
        """One line; `print(detector.backbone)` shows the modules of a part, `print(*detector.children())` of all."""
        config = self.config
        height, width = config.image_size
        parts = [
            config.backbone,
            *self._parts(),
            f'{config.num_classes} classes',
            f'{height} x {width}',
            f'{sum(p.numel() for p in self.parameters()) / 1e6:.2f} M parameters',
            'training' if self.training else 'eval',
            *(['fused'] if self.fused else []),
            str(self.device),
        ]
        return f'{type(self).__name__}({", ".join(parts)})'

    def _parts(self) -> list[str]:
        """What its repr says of what follows the backbone."""
        return []

    def save_pretrained(
        self,
        folder: str | Path,
        *,
        dtype: torch.dtype | str | None = None,
        card_data: Mapping[str, Any] | None = None,
        picture: bytes | None = None,
        keep_card: bool = True,
    ) -> Path:
        """Writes config.json, model.safetensors, detector.safetensors and README.md: a folder that is a Hub repository.

        model.safetensors holds the backbone under timm's own names, so that timm loads it from there without
        mbv3zoo: `timm.create_model('local-dir:folder', features_only=True, pretrained=True)`, or `hf-hub:` once pushed.

        Args:
            folder: Where to; created if need be.
            dtype: Type that floating point weights are stored in: float16, bfloat16, float32 or float64, as torch's or
                by its name. 'float16' halves the file. None keeps theirs; loaded, they have their type again.
            card_data: Facts for the model card; see `mbv3zoo.cards.render.render_card`.
            picture: A PNG of predictions, which the card shows.
            keep_card: Whether what people wrote into a README.md that is there stays. What the library wrote there is
                renewed with the weights; its figures and picture stay only where these are the same weights.

        Raises:
            ValueError: It would be loaded as another detector, as it is fused, pruned or changed otherwise so that its
                config no longer builds it, or has no weights or some that are not finite; or `dtype` is another type or
                does not reach them. The folder is what it was.

        Example:
            >>> detector = mbv3zoo.create_detector('mbv3_yolo_small', class_names=['cat', 'dog'])
            >>> folder = detector.save_pretrained('my_detector')
            >>> mbv3zoo.Detector.from_pretrained(folder).config.class_names
            ('cat', 'dog')
        """
        if self.fused:
            raise ValueError(f'a fused {KINDS[self.config.task]} cannot be saved; save it first, then call fuse()')
        stored = read_network(self, dtype)
        facts: dict[str, Any] = {
            'stock': stock_architecture(stored.config.backbone, stored.config.backbone_args) is not None,
            'picture': picture is not None,
            'mark': detector_mark(stored.config, *stored.weights),
            **(card_data or {}),
        }
        config, license = stored.config, facts.get('license')
        if license is not None:
            facts['license'] = license = license_id(license)
            config = config.model_copy(update={'licenses': under_license(config.licenses, license)})
        data = {
            **timm_config(self.backbone, config),
            'model_type': saved_folder.MODEL_TYPE,
            'library_name': 'mbv3zoo',
            'library_version': __version__,
            KINDS[config.task]: config.model_dump(mode='json'),
        }
        if stored.dtype != torch.float32:
            data['dtype'] = dtype_name(stored.dtype)
        card = render_card(config, sum(p.numel() for p in self.parameters()), **facts)
        renewed = renew_card(Path(folder), card, keep=keep_card, license=license)
        more = {**({saved_folder.PICTURE_NAME: picture} if picture else {}), **renewed.aside}
        return saved_folder.save_folder(
            folder, data, *stored.weights, renewed.text, more=more, outdated=renewed.outdated
        )

    def push_to_hub(
        self,
        repo_id: str,
        *,
        dtype: torch.dtype | str | None = None,
        license: str | None = None,
        allow_licenses: Iterable[str] = (),
        **options: Unpack[PushOptions],
    ) -> str:
        """Uploads what `save_pretrained` writes, in one commit.

        Args:
            repo_id: 'organisation/name'.
            dtype: As in `save_pretrained`.
            license: The licence to publish the weights under, whatever the repository's card says; by default the one
                that a person wrote there, or what the weights' record asks for.
            allow_licenses: Licences in the record that are not to be asked about; see `mbv3zoo.licenses.check_push`.
            **options: `token`, `private`, `revision`, `commit_message`, `create_pr`; see
                `mbv3zoo.hub.PushOptions`.

        Returns:
            The address of the commit.

        Raises:
            ValueError: `save_pretrained` refuses the detector, the licences do not allow it, or the Hub refused.

        Example:
            >>> detector = mbv3zoo.load('mbv3_yolo_small.synth')
            >>> address = detector.push_to_hub('organisation/name')
            >>> detector = mbv3zoo.Detector.from_pretrained('organisation/name')
        """
        with temporary_folder() as folder:
            self.save_pretrained(folder, dtype=dtype, card_data={'name': repo_id, 'license': license})
            return publish_folder(folder, repo_id, license=license, allow_licenses=allow_licenses, **options)

    @classmethod
    def from_pretrained(
        cls, source: str | Path, *, allow_licenses: Iterable[str] | None = None, **options: Unpack[PullOptions]
    ) -> Self:
        """Loads a detector, in eval mode: the one that was saved, bit for bit, in the type that it had in memory.

        Args:
            source: A folder that `save_pretrained` wrote, a packaged name ('mbv3_yolo_small.synth'), or a Hub
                repository 'organisation/name'.
            allow_licenses: Refuse weights that were made from something under another licence than these, as the Hub
                spells them; see `mbv3zoo.licenses`. None checks nothing.
            **options: `revision`, `cache_dir`, `token`, `local_files_only`, `force_download`; see
                `mbv3zoo.hub.PullOptions`.

        Raises:
            ValueError: There is no detector there, its weights do not fit its config, or a licence is not allowed.
            TypeError: There is no such option; `mbv3zoo.create_detector` takes settings of the detector.

        Example:
            >>> detector = mbv3zoo.Detector.from_pretrained('mbv3_yolo_small.synth', allow_licenses=['apache-2.0'])
            >>> detector.config.num_classes
            16
        """
        return cls.from_saved(resolve_saved(source, **options), allow_licenses)

    @classmethod
    def from_saved(cls, saved: SavedSource, allow_licenses: Iterable[str] | None = None) -> Self:
        """As `from_pretrained`, of what `mbv3zoo.zoo.resolve.resolve_saved` has found.

        Example:
            >>> from mbv3zoo.zoo.resolve import resolve_saved
            >>> detector = mbv3zoo.Detector.from_saved(resolve_saved('mbv3_yolo_small.synth'))
        """
        config = saved.read_config(pretrained=True)
        name = KINDS[config.task]
        own: Any = getattr(import_module(f'mbv3zoo.{name}'), name.title())
        if not issubclass(own, cls) and not issubclass(cls, own):
            raise ValueError(f'{saved.name} is a {name}; load it with mbv3zoo.load or {own.__name__}.from_pretrained')
        check_allowed(config.licenses, allow_licenses)
        with saved.named():
            kind: Any = own if cls is Model else cls
            detector = kind(config)
        # Before they are loaded: those in double precision would be rounded.
        saved.load(detector.to(saved.dtype))
        return detector.eval()
