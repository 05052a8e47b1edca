"""Detector: the network with everything a user does with it."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Unpack

import torch
from timm.layers import to_2tuple

from mbv3zoo.cards.render import render_card
from mbv3zoo.detections import Detections
from mbv3zoo.export.live import check_options, kept_live
from mbv3zoo.hub import PullOptions, PushOptions
from mbv3zoo.hub.publish import publish_folder
from mbv3zoo.models.head_transfer import kept_classes, transfer_head
from mbv3zoo.models.network import DetectorNetwork
from mbv3zoo.models.timm_repository import stock_architecture, stock_names, timm_config
from mbv3zoo.prediction.predict import predict
from mbv3zoo.saving import folder as saved_folder
from mbv3zoo.version import __version__
from mbv3zoo.zoo.registry import known_weights
from mbv3zoo.zoo.saved import Saved, find_saved, read_saved

_logger = logging.getLogger(__name__)


class Detector(DetectorNetwork):
    """An object detector: any timm backbone, YOLOv5's neck and head.

    Call it with float images [B, C, H, W] in 0..1 for raw logits (see `forward`), or use `predict`. `create_detector`
    builds one, `Detector.from_pretrained` loads one.
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
        """
        if self.fused:
            raise ValueError('a fused detector cannot be saved; save it first, then call fuse()')
        stock = self._stock_names
        backbone, head = {}, {}
        for name, tensor in self._weights().items():
            stored = tensor.to(dtype) if dtype and tensor.is_floating_point() else tensor
            (backbone if name in stock else head)[stock.get(name, name)] = stored
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
        """
        place = find_saved(source)
        if place is None:
            raise ValueError(
                f'no weights called {str(source)!r}; expected a folder that save_pretrained wrote, a Hub repository '
                f"'organisation/name', or one of {list(known_weights())}"
            )
        saved = read_saved(place, **options)
        cls.check_size(saved, source)
        detector = cls(saved.config)
        detector.load_saved(saved, source)
        return detector.eval()

    @classmethod
    def check_size(cls, saved: Saved, source: Any) -> None:
        """Refuses a config that asks timm for a backbone far larger than the weights beside it, before it is built.

        Args:
            saved: What was saved.
            source: What errors call it.

        Raises:
            ValueError: It would have more than twice as many parameters.
        """
        # timm's own models have the size that their name says, and on them so has the PAN.
        if not (saved.config.backbone_args or saved.config.neck):
            return
        parameters = sum(p.numel() for p in cls(saved.config, device='meta').parameters())
        stored = sum(tensor.numel() for weights in saved[1:] for tensor in weights.values())
        if parameters > 2 * stored:
            raise ValueError(
                f'{source}: the weights do not fit: by its backbone_args or neck, the config asks for {parameters} '
                f'parameters, and {stored} are stored'
            )

    def load_saved(self, saved: Saved, source: Any, adapt_head: bool = False) -> None:
        """Loads the weights of a saved detector.

        Args:
            saved: The weights, on the same backbone and neck.
            source: What errors call it.
            adapt_head: Take them for other classes: those of the same name are kept, what starts anew is logged.

        Raises:
            ValueError: Some do not fit, or are missing.
        """
        own = {stock: name for name, stock in self._stock_names.items()}
        state = {own.get(name, f'backbone ({name})'): tensor for name, tensor in saved.backbone.items()} | saved.head
        self.load_weights(self._adapt_head(state, saved.config.class_names, source) if adapt_head else state, source)

    def stock_weights(self) -> list[str]:
        """timm's names of the backbone's weights and statistics: what model.safetensors has to hold."""
        stock = self._stock_names
        # Older files lack the counters, which only matter to a BatchNorm without momentum.
        return [stock[n] for n in self._weights() if n in stock and not n.endswith('num_batches_tracked')]

    @cached_property
    def _stock_names(self) -> dict[str, str]:
        """Names in the state dict -> timm's, of the backbone. Kept: timm's whole model is built to find them."""
        return {f'backbone.{own}': name for own, name in stock_names(self.backbone).items()}

    def _weights(self) -> dict[str, torch.Tensor]:
        """The state dict, with a tensor that layers share (as CoaT's do) once, under its first name."""
        state = self.state_dict(keep_vars=True)
        first = {id(tensor): name for name, tensor in reversed(state.items())}
        return {name: tensor.detach() for name, tensor in state.items() if first[id(tensor)] == name}

    def load_weights(self, state: dict[str, torch.Tensor], source: Any) -> None:
        """Loads weights by their names in the state dict; all must be there, and fit.

        Args:
            state: Name -> tensor.
            source: What errors call it.

        Raises:
            ValueError: Some do not fit, are missing, or unknown; the first of them are named. Nothing was loaded.
        """
        own = self._weights()
        missing = sorted(own.keys() - state.keys())
        unknown = sorted(state.keys() - self.state_dict().keys())
        rows = [
            f'{name} is {list(state[name].shape)}, expected {list(own[name].shape)}'
            for name in sorted(own.keys() & state.keys())
            if own[name].shape != state[name].shape
        ]
        rows += [*(f'{name} is missing' for name in missing), *(f'{name} is unknown' for name in unknown)]
        if rows:
            raise ValueError(
                f'{source}: the weights do not fit a detector on {self.config.backbone!r} with '
                f'{self.config.num_classes} classes: {"; ".join(rows[:5])}{" ..." if len(rows) > 5 else ""}'
            )
        self.load_state_dict({name: state[name] for name in own}, strict=False)

    def _adapt_head(
        self, state: dict[str, torch.Tensor], trained_names: tuple[str, ...], source: Any
    ) -> dict[str, torch.Tensor]:
        """Weights of a detector for other classes, with a head for this one's; what starts anew is logged."""
        names = self.config.class_names
        if names == trained_names:
            return state
        try:
            head = {
                name: transfer_head(state[name], fresh, trained_names, names)
                for name, fresh in self._weights().items()
                # Weights for another number of channels are told by `load_weights`, with all others that do not fit.
                if name.startswith('head.') and name in state and state[name].shape[1:] == fresh.shape[1:]
            }
        except ValueError as error:
            raise ValueError(f'{source}: {error}') from error
        kept = kept_classes(trained_names, names)
        anew = [name for name in names if name not in kept]
        gone = [name for name in trained_names if name not in names]
        _logger.warning(
            '%s: kept all but the classes; of these %d start anew: %s%s',
            source, len(anew), ', '.join(anew) or 'none', f'; dropped: {", ".join(gone)}' if gone else '',
        )  # fmt: skip
        return {**state, **head}
