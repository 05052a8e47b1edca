"""Detector: the network with everything a user does with it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Unpack

import torch
from timm.layers import to_2tuple

from mbv3zoo.cards.render import render_card
from mbv3zoo.detections import Detections
from mbv3zoo.export.live import check_options, kept_live
from mbv3zoo.hub import PullOptions, PushOptions
from mbv3zoo.hub.publish import publish_folder
from mbv3zoo.models.network import DetectorNetwork
from mbv3zoo.models.timm_repository import stock_architecture, timm_config
from mbv3zoo.models.weights import read_weights
from mbv3zoo.prediction.predict import predict
from mbv3zoo.saving import folder as saved_folder
from mbv3zoo.version import __version__
from mbv3zoo.zoo.resolve import resolve_saved


class Detector(DetectorNetwork):
    """An object detector: any timm backbone, YOLOv5's neck and head.

    Call it with float images [B, C, H, W] in 0..1 for raw logits (see `forward`), or use `predict`. `create_detector`
    builds one, `Detector.from_pretrained` loads one.

    Example:
        >>> detector = mbv3zoo.Detector.from_pretrained('mbv3_yolo_small.synth')
        >>> detector.predict('a.jpg').filter(min_score=0.7)
        Detections(4 objects in a.jpg, 480 x 640: 1 triangle 0.92, 1 heart 0.90, 1 gear 0.85, 1 crescent 0.83)
    """

    def predict(
        self,
        source: Any,
        *,
        runtime: str | None = None,
        threads: int | None = None,
        device: str | None = None,
        **options: Any,
    ) -> Detections | list[Detections]:
        """Finds objects in one picture or many.

        Args:
            source: A path, PIL image, array [H, W, 3] uint8 RGB, tensor [3, H, W]; or a list, folder or glob of them.
            runtime: 'eager', 'compile', 'onnxruntime', 'openvino' or 'auto'; see `mbv3zoo.export.live.open_live`. It is
                built at the first call and kept while the weights stay the same. None runs the network as it is.
            threads, device: The runtime's.
            **options: `score_thresh` (0.25), `iou_thresh` (0.45), `max_detections` (300), `batch_size` (8),
                `image_size`; see `mbv3zoo.prediction.predict.predict`.

        Returns:
            `Detections` of one picture, a list of them for many; boxes in pixels of the original picture.

        Example:
            >>> detector = mbv3zoo.load('mbv3_yolo_small.synth')
            >>> detector.predict('a.jpg', score_thresh=0.88)
            Detections(2 objects in a.jpg, 480 x 640: 1 triangle 0.92, 1 heart 0.90)
            >>> many = detector.predict(['a.jpg', 'a.jpg'], image_size=320)
            >>> len(many)
            2
        """
        if runtime is None:
            check_options({'threads': threads, 'device': device})
            return predict(self, source, **options)
        size = to_2tuple(options.get('image_size') or self.config.image_size)
        return predict(kept_live(self, runtime, image_size=size, threads=threads, device=device), source, **options)

    def export(self, path: str | Path, **options: Any) -> Path:
        """Writes the detector for another runtime, with a certificate of how far that agrees with PyTorch.

        Args:
            path: The file; its end names the format ('model.onnx', 'model.xml', ...).
            **options: `dynamic`, `nms`, `precision`, `data`, ...; see `mbv3zoo.export.export.export`, also for errors.

        Returns:
            The file, which `mbv3zoo.load` opens.

        Example:
            >>> path = mbv3zoo.load('mbv3_yolo_small.synth').export('model.onnx', image_size=320)
            >>> found = mbv3zoo.load(path).predict('a.jpg')
        """
        from mbv3zoo.export.export import export

        return export(self, path, **options)

    def save_pretrained(
        self,
        folder: str | Path,
        *,
        dtype: torch.dtype | None = None,
        card_data: Mapping[str, Any] | None = None,
        picture: bytes | None = None,
        keep_card: bool = True,
    ) -> Path:
        """Writes config.json, model.safetensors, detector.safetensors and README.md: a folder that is a Hub repository.

        model.safetensors holds the backbone under timm's own names, so that timm loads it from there without
        mbv3zoo: `timm.create_model('local-dir:folder', features_only=True, pretrained=True)`, or `hf-hub:` once pushed.

        Args:
            folder: Where to; created if need be.
            dtype: Type that floating point weights are stored in; None keeps theirs. `torch.float16` halves the file.
            card_data: Facts for the model card; see `mbv3zoo.cards.render.render_card`.
            picture: A PNG of predictions, which the card shows.
            keep_card: Whether a README.md that is there stays: people edit their cards.

        Raises:
            ValueError: The detector is fused: its weights no longer fit its config.

        Example:
            >>> detector = mbv3zoo.create_detector('mbv3_yolo_small', class_names=['cat', 'dog'])
            >>> folder = detector.save_pretrained('my_detector')
            >>> mbv3zoo.Detector.from_pretrained(folder).config.class_names
            ('cat', 'dog')
        """
        if self.fused:
            raise ValueError('a fused detector cannot be saved; save it first, then call fuse()')
        backbone, head = read_weights(self, dtype)
        config = {
            **timm_config(self.backbone, self.config),
            'library_name': 'mbv3zoo',
            'library_version': __version__,
            'detector': self.config.model_dump(mode='json'),
        }
        facts = {
            'stock': stock_architecture(self.config.backbone, self.config.backbone_args) is not None,
            'picture': picture is not None,
        }
        card = render_card(self.config, sum(p.numel() for p in self.parameters()), **facts, **(card_data or {}))
        pictures = {saved_folder.PICTURE_NAME: picture} if picture else {}
        return saved_folder.save_folder(folder, config, backbone, head, card, pictures=pictures, keep_card=keep_card)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        dtype: torch.dtype | None = None,
        license: str | None = None,
        allow_licenses: Iterable[str] = (),
        **options: Unpack[PushOptions],
    ) -> str:
        """Uploads what `save_pretrained` writes, in one commit.

        Args:
            repo_id: 'organisation/name'.
            dtype: As in `save_pretrained`.
            license: The licence to publish the weights under, by default what their record asks for.
            allow_licenses: Licences in the record that are not to be asked about; see `mbv3zoo.licenses.check_push`.
            **options: `token`, `private`, `revision`, `commit_message`, `create_pr`; see
                `mbv3zoo.hub.PushOptions`.

        Returns:
            The address of the commit.

        Raises:
            ValueError: The detector is fused, the licences do not allow it, or the Hub refused.

        Example:
            >>> detector = mbv3zoo.load('mbv3_yolo_small.synth')
            >>> address = detector.push_to_hub('organisation/name')
            >>> detector = mbv3zoo.Detector.from_pretrained('organisation/name')
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, dtype=dtype, card_data={'name': repo_id, 'license': license})
            return publish_folder(folder, repo_id, license=license, allow_licenses=allow_licenses, **options)

    @classmethod
    def from_pretrained(cls, source: str | Path, **options: Unpack[PullOptions]) -> Detector:
        """Loads a detector, in eval mode.

        Args:
            source: A folder that `save_pretrained` wrote, a packaged name ('mbv3_yolo_small.synth'), or a Hub
                repository 'organisation/name'.
            **options: `revision`, `cache_dir`, `token`, `local_files_only`, `force_download`; see
                `mbv3zoo.hub.PullOptions`.

        Raises:
            ValueError: There is no detector there, or its weights do not fit its config.

        Example:
            >>> detector = mbv3zoo.Detector.from_pretrained('mbv3_yolo_small.synth')
            >>> detector.config.num_classes
            16
        """
        saved = resolve_saved(source, **options)
        detector = cls(saved.read_config(pretrained=True))
        saved.load(detector)
        return detector.eval()
