"""Letterboxing and NMS as transformers' pipeline calls them, for `AutoImageProcessor`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from transformers.image_processing_base import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor
from transformers.models.auto.image_processing_auto import AutoImageProcessor

from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.images.letterbox import Letterbox
from mbv3zoo.images.read import read_image
from mbv3zoo.integrations.transformers.configuration_auto import MBV3ZooConfig, detector_config
from mbv3zoo.models.postprocess.tensors import postprocess
from mbv3zoo.models.postprocess.thresholds import PREDICTION, Thresholds


class MBV3ZooImageProcessor(BaseImageProcessor):
    """Letterboxes images, and finds objects in what the model gives.

    Args:
        config: A `MBV3ZooConfig`.
    """

    def __init__(self, config: Any) -> None:
        super().__init__()
        # As plain values: transformers shows and copies what a processor holds as JSON.
        self.detector = config.detector
        height, width = self.config.image_size
        self.size = {'height': height, 'width': width}

    @property
    def config(self) -> DetectorConfig:
        """The detector's config."""
        return detector_config(self)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options: Any) -> Self:
        """From the config.json of a saved detector; see `MBV3ZooForObjectDetection.from_pretrained`."""
        return cls(MBV3ZooConfig.from_pretrained(pretrained_model_name_or_path, **options))

    def preprocess(self, images: Any, return_tensors: str = 'pt') -> BatchFeature:
        """Letterboxes images to the detector's size.

        Args:
            images: One, or a list of them, in any form that `mbv3zoo.images.read.read_image` takes.
            return_tensors: 'pt' for torch tensors, 'np' for arrays.

        Returns:
            `pixel_values`, float32 [B, C, H, W] in 0..1.
        """
        config, boxed = self.config, []
        for image in images if isinstance(images, list | tuple) else [images]:
            pixels = read_image(image, config.in_chans)
            boxed.append(Letterbox.fit(pixels.shape[:2], config.image_size).apply_array(pixels))
        return BatchFeature({'pixel_values': np.stack(boxed).astype(np.float32) / 255}, tensor_type=return_tensors)

    def post_process_object_detection(
        self,
        outputs: Any,
        threshold: float = PREDICTION.score_thresh,
        target_sizes: Any = None,
        iou_thresh: float = PREDICTION.iou_thresh,
        max_detections: int = PREDICTION.max_detections,
    ) -> list[dict[str, torch.Tensor]]:
        """Decodes and suppresses, as `mbv3zoo.Detector.predict` does.

        Args:
            outputs: What the model gave.
            threshold: Only scores above it are kept, 0..1.
            target_sizes: (height, width) of each image in pixels, [B, 2] or a list of pairs; None leaves boxes in
                pixels of the letterbox.
            iou_thresh, max_detections: As for `mbv3zoo.Detector.predict`.

        Returns:
            For each image `scores` [N], `labels` [N] and `boxes` [N, 4], xyxy in pixels.
        """
        levels = [outputs[name] for name in sorted(outputs) if name.startswith('level')]
        config = self.config
        height, width = config.image_size
        anchors = torch.tensor(config.anchors, dtype=torch.float32, device=levels[0].device)
        strides = [height // level.shape[2] for level in levels]
        found = []
        thresholds = Thresholds(threshold, iou_thresh, max_detections, nms=config.nms)
        kept = postprocess(levels, anchors, strides, thresholds)
        for index, (boxes, scores, labels) in enumerate(kept):
            if target_sizes is not None:
                original = [int(side) for side in target_sizes[index]]
                boxes = Letterbox.fit((original[0], original[1]), (height, width)).boxes_to_original(boxes)
            found.append({'scores': scores, 'labels': labels, 'boxes': boxes})
        return found

    def save_pretrained(self, save_directory: str | Path) -> None:
        """Writes nothing: the model's config.json says all."""


AutoImageProcessor.register(MBV3ZooConfig, image_processor_classes={'torchvision': MBV3ZooImageProcessor})
