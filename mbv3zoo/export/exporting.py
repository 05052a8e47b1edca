"""What a model does with its graph: run it in a runtime, export it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from mbv3zoo.export.kept import kept_live
from mbv3zoo.export.live import check_options
from mbv3zoo.models.base_network import ModelNetwork
from mbv3zoo.models.postprocess.thresholds import PREDICTION
from mbv3zoo.runtimes.export_info import Precision
from mbv3zoo.utils.sizes import parse_image_size


class Exporting(ModelNetwork):
    """A network whose graph other runtimes run."""

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
        nms: bool | Literal['inside', 'none'] = False,
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
            nms: True or 'inside' decodes and suppresses inside the graph; 'none' writes maps
                that need no NMS (`without_nms`).
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
