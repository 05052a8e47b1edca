"""What detectors and segmenters have in common for their users: saved, published, loaded, exported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Self, Unpack

import torch

from mbv3zoo.cards.folder import renew_card
from mbv3zoo.cards.mark import detector_mark
from mbv3zoo.cards.render import render_card
from mbv3zoo.config.tasks import KINDS
from mbv3zoo.export.kept import kept_live
from mbv3zoo.export.live import check_options
from mbv3zoo.hub import PullOptions, PushOptions
from mbv3zoo.hub.publish import publish_folder
from mbv3zoo.licenses import check_allowed, license_id, under_license
from mbv3zoo.models.base_network import ModelNetwork
from mbv3zoo.models.dtypes import dtype_name
from mbv3zoo.models.postprocess.thresholds import PREDICTION
from mbv3zoo.models.stored import read_network
from mbv3zoo.models.timm_repository import stock_architecture, timm_config
from mbv3zoo.runtimes.export_info import Precision
from mbv3zoo.saving import folder as saved_folder
from mbv3zoo.utils.disk import temporary_folder
from mbv3zoo.utils.sizes import parse_image_size
from mbv3zoo.version import __version__
from mbv3zoo.zoo.resolve import resolve_saved
from mbv3zoo.zoo.saved import SavedSource


class Model(ModelNetwork):
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

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class, by its label.

        Example:
            >>> mbv3zoo.create_detector('mbv3_yolo_small', class_names=['cat', 'dog']).class_names
            ('cat', 'dog')
        """
        return self.config.class_names

    @property
    def device(self) -> torch.device:
        """Where its weights are, which images are to be on for a call; `to` moves them.

        Example:
            >>> mbv3zoo.load('mbv3_yolo_small.synth').device
            device(type='cpu')
        """
        return next(self.parameters(), self.mean).device

    def _engine(
        self, runtime: str | None, image_size: int | tuple[int, int] | None, threads: int | None, device: str | None
    ) -> Any:
        """What runs it: itself, or its graph in a runtime."""
        if runtime is not None:
            size = self.config.image_size if image_size is None else parse_image_size(image_size)
            return kept_live(self, runtime, image_size=size, threads=threads, device=device)
        if (threads, device) != (None, None):
            check_options(threads, device)
        return self

    def export(
        self,
        path: str | Path,
        *,
        format: str | None = None,
        image_size: int | tuple[int, int] | None = None,
        batch_size: int = 1,
        dynamic: bool = False,
        nms: bool = False,
        score_thresh: float = PREDICTION.score_thresh,
        iou_thresh: float = PREDICTION.iou_thresh,
        max_detections: int = PREDICTION.max_detections,
        precision: Precision = 'float32',
        calibration: str | Path | None = None,
        data: str | Path | None = None,
        split: str | None = None,
        tolerance: float | None = None,
        pictures: Sequence[Any] | None = None,
        overwrite: bool = False,
    ) -> Path:
        """Writes the model for another runtime, with a certificate of how far that agrees with PyTorch.

        Args:
            path: The file; its suffix names the format ('model.onnx', 'model.xml', ...).
            format: The format, checked against the suffix.
            image_size: Side, or (height, width), in pixels; by default the detector's.
            batch_size: Images per call.
            dynamic: Take any batch, and any size that is a multiple of the largest stride.
            nms: Decode and suppress inside the graph.
            score_thresh, iou_thresh, max_detections: The thresholds of `nms`.
            precision: 'float32', 'float16' or 'int8', where the format has it.
            calibration: For 'int8' a dataset or a folder of images.
            data: A labelled dataset to measure AP on, before and after.
            split: Split of `data` and `calibration`; 'val' by default.
            tolerance: Largest mean difference of the logits, as a share of their standard deviation.
            pictures: Images to compare on; by default drawn scenes.
            overwrite: Replace a file that is there.

        Returns:
            The file, which `mbv3zoo.load` opens.

        Raises:
            ValueError: The format cannot do what is asked, an option has no effect without another, a file is there, or
                the tolerance is exceeded.
            ImportError: A package that the format needs is not installed; it is named.

        Example:
            >>> path = mbv3zoo.load('mbv3_yolo_small.synth').export('model.onnx', image_size=320)
            >>> found = mbv3zoo.load(path).predict('a.jpg')
        """
        from mbv3zoo.export.export import export

        model: Any = self
        return export(
            model,
            path,
            format=format,
            image_size=image_size,
            batch_size=batch_size,
            dynamic=dynamic,
            nms=nms,
            score_thresh=score_thresh,
            iou_thresh=iou_thresh,
            max_detections=max_detections,
            precision=precision,
            calibration=calibration,
            data=data,
            split=split,
            tolerance=tolerance,
            pictures=pictures,
            overwrite=overwrite,
        )

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
