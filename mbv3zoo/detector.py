"""Detector: the network with everything a user does with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mbv3zoo.detections import Detections
from mbv3zoo.model import Model
from mbv3zoo.models.network import DetectorNetwork
from mbv3zoo.prediction.predict import predict


class Detector(Model, DetectorNetwork):
    """An object detector: any timm backbone, YOLOv5's neck and head.

    Call it with float images [B, C, H, W] in 0..1 for raw logits (see `forward`), or use `predict`. `create_detector`
    builds one, `Detector.from_pretrained` loads one.

    Example:
        >>> detector = mbv3zoo.Detector.from_pretrained('mbv3_yolo_small.synth')
        >>> detector.predict('a.jpg').filter(min_score=0.7)
        Detections(4 objects in a.jpg, 480 x 640: 1 triangle 0.92, 1 heart 0.90, 1 gear 0.85, 1 crescent 0.83)
    """

    def _parts(self) -> list[str]:
        neck = f'neck {self.config.neck}' if isinstance(self.config.neck, str) else 'neck of a layer list'
        return [
            neck,
            *([] if self.config.head == 'plain' else [f'{self.config.head} head']),
            *([] if self.config.nms else ['no NMS']),
        ]

    def predict(
        self,
        source: Any,
        *,
        score_thresh: float | None = None,
        iou_thresh: float | None = None,
        max_detections: int | None = None,
        classes: str | int | Iterable[str | int] | None = None,
        agnostic_nms: bool = False,
        nms: bool = True,
        batch_size: int = 8,
        image_size: int | tuple[int, int] | None = None,
        max_pixels: int | None = None,
        slice: int | tuple[int, int] | None = None,
        overlap: float | None = None,
        slice_only: bool = False,
        runtime: str | None = None,
        threads: int | None = None,
        device: str | None = None,
    ) -> Detections | list[Detections]:
        """Finds objects in one image or many.

        Args:
            source: A path, PIL image, array [H, W, 3] uint8 RGB, tensor [3, H, W]; or a list, folder or glob of them.
            score_thresh: Only detections with a score above it are kept, 0..1. The default of this and the next two is
                in `mbv3zoo.models.postprocess.thresholds`.
            iou_thresh: Of two boxes of one class whose IoU is above it, the one with the higher score is kept, 0..1.
            max_detections: Most detections per image.
            classes: Names or indices of the classes to find, or one of them; by default all.
            agnostic_nms: Whether boxes of different classes suppress each other too, so that an object has one box.
            nms: False takes predictions that need no NMS (`without_nms`).
            batch_size: Images per call of the network, 1..65536; fewer where they would have more than 8192 x 8192
                pixels in all, which makes no difference to what is found.
            image_size: Side, or (height, width), in pixels that images are letterboxed to, 32..8192; by default the
                detector's.
            max_pixels: Most pixels (width x height) of an image file, 100 million by default. A file of more is not
                decoded, as a small one may take all memory; images in memory may have more.
            slice: Side, or (height, width), in pixels of tiles that images are cut into, for small objects in large
                images; each tile is letterboxed to `image_size`. Needs supervision. By default images are not cut.
            overlap: Fraction of a tile that the next one has too, by default 0.2; an object should fit into it.
            slice_only: Whether the whole image is not looked at besides; objects larger than a tile are lost then.
            runtime: 'eager', 'compile', 'onnxruntime', 'openvino' or 'auto'; see `mbv3zoo.export.live.open_live`. It is
                built at the first call and kept while the detector stays the same, which is looked up at each call; the
                last four runtimes and sizes are kept. None runs the network as it is.
            threads: Threads that a call of the runtime may use.
            device: Device of the runtime, as it names it.

        Returns:
            `Detections` of one image, a list of them for many; boxes in pixels of the original image. An image among
            many that cannot be read is named in a warning, and its `Detections` are empty.

        Raises:
            ValueError: A single image cannot be read, there are none, or a setting is out of range.
            ImportError: The runtime is not installed.

        Example:
            >>> detector = mbv3zoo.load('mbv3_yolo_small.synth')
            >>> detector.predict('a.jpg', score_thresh=0.88)
            Detections(2 objects in a.jpg, 480 x 640: 1 triangle 0.92, 1 heart 0.90)
            >>> many = detector.predict(['a.jpg', 'a.jpg'], image_size=320)
            >>> len(many)
            2
        """
        return predict(
            (self if nms else self.without_nms())._engine(runtime, image_size, threads, device),
            source,
            score_thresh=score_thresh,
            iou_thresh=iou_thresh,
            max_detections=max_detections,
            classes=classes,
            agnostic_nms=agnostic_nms,
            batch_size=batch_size,
            image_size=image_size,
            max_pixels=max_pixels,
            slice=slice,
            overlap=overlap,
            slice_only=slice_only,
        )
