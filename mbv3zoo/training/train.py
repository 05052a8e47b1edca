"""Training from Python: `mbv3zoo.train` and `mbv3zoo.resume_training`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Unpack

from mbv3zoo.model import Model
from mbv3zoo.training.devices import use_device
from mbv3zoo.training.results import METRICS_NAME, read_metrics
from mbv3zoo.training.run import resume, run_config, start
from mbv3zoo.training.run_folder import new_run
from mbv3zoo.training.settings import TrainSettings


@dataclass(frozen=True)
class TrainResult:
    """A finished training run.

    Attributes:
        detector: The best detector or segmenter of the run, in eval mode on the CPU.
        folder: Folder of the run. `best/` and `last/` in it are detector folders, `report/` has the figures, curves and
            images of `best/`, `results.csv` one line per epoch, `run.yaml` all settings.
        metrics: Its metrics on the validation set: `Metrics` of COCO, or a segmenter's `SegmentationMetrics`.

    Example:
        >>> result = mbv3zoo.resume_training('runs/train-1')
        >>> found = result.detector.predict('a.jpg')
    """

    detector: Any
    folder: Path
    metrics: Any


def train(
    data: str | Path,
    *,
    model: str | Path = 'mbv3_yolo_small',
    pretrained: bool | None = None,
    image_size: int | tuple[int, int] | None = None,
    val_data: str | Path | None = None,
    images: str | Path | None = None,
    val_images: str | Path | None = None,
    val_share: float | None = None,
    max_pixels: int | None = None,
    data_license: str | None = None,
    recipe: str | Path | None = None,
    out: str | Path | None = None,
    device: str | None = None,
    **settings: Unpack[TrainSettings],
) -> TrainResult:
    """Trains a detector or segmenter on a dataset and saves it, as `mbv3zoo train` does.

    Args:
        data: Dataset with a training and a validation split: a YOLO data.yaml, a COCO .json (which needs `val_data`), a
            folder (YOLO, Pascal VOC, COCO), or 'hub:organisation/name'; for a segmenter one with masks; see
            `mbv3zoo.load_dataset`.
        model: What to train, as for `mbv3zoo.create_detector`, or a segmenter: a name, a YAML file, a saved folder, a
            Hub repository. It gets the classes of the dataset.
        pretrained: Start from the model's weights: a saved detector's own, else the backbone's. None does so for saved
            detectors (a folder, a Hub repository, 'mbv3_yolo_small.synth') and starts others from random weights.
        image_size: Input size, (height, width) in pixels or an int for a square; None uses the model's.
        val_data: The validation split, if it is not in `data`.
        images: Image folder of `data` where that is a COCO file; None looks in the usual places.
        val_images: Likewise, of the validation split; `images` is never used for both.
        val_share: Fraction of the images to validate on, for data of one split, such as 0.2: drawn by `seed` as
            `mbv3zoo.split_dataset` does. Their names are kept in `val.txt` in the run's folder, for `resume_training`
            and as `split` of `evaluate`.
        max_pixels: Most pixels (width x height) of an image, as for `mbv3zoo.load_dataset`.
        data_license: Licence of images and labels, by its id on the Hub; kept in the detector's licence record.
        recipe: Where settings that are not given come from: a packaged recipe ('coco_100'), a YAML file of settings, or
            'none' for the defaults of `mbv3zoo.TrainConfig`; None chooses by the number of steps and the weights that
            it starts from, and says so.
        out: Folder of the run, new or empty; None takes the next free `runs/train-N`.
        device: 'cpu', 'cuda', 'cuda:1', 'mps', or the number of a GPU; None takes a GPU if there is one. It is not part
            of the run's settings.
        **settings: Fields of `mbv3zoo.TrainConfig`: `epochs`, `batch_size`, `optimizer`, `lr`, `augmentation`, ...

    Returns:
        The best detector, the folder of the run, and the detector's metrics.

    Raises:
        ValueError: A setting, the model or the dataset is missing or does not fit, or the folder is in use.
        TrainingStopped: The loss is no longer finite, or data or disk failed; the last checkpoint is kept, and
            `resume_training` goes on from it.

    Example:
        >>> result = mbv3zoo.train('data.yaml', model='mbv3_yolo_small', epochs=1, image_size=96)
        epoch ...
        >>> result.folder.as_posix(), result.metrics.images
        ('runs/train-1', 4)
        >>> detections = result.detector.predict('a.jpg')
    """
    config = run_config(
        data,
        model=model,
        pretrained=pretrained,
        image_size=image_size,
        val_data=val_data,
        images=images,
        val_images=val_images,
        val_share=val_share,
        max_pixels=max_pixels,
        data_license=data_license,
        recipe=recipe,
        **settings,
    )
    use_device(device)
    with new_run(out) as folder:
        start(config, folder)
    return _result(folder)


def resume_training(
    folder: str | Path,
    *,
    epochs: int | None = None,
    minutes: float | None = None,
    patience: int | None = None,
    workers: int | None = None,
    threads: int | None = None,
    cache: Literal['no', 'memory', 'disk'] | None = None,
    device: str | None = None,
) -> TrainResult:
    """Resumes a run that was stopped, from its last complete epoch, with the settings that it was started with.

    Anchors and classes are those of the run. What is given here is kept in its run.yaml.

    Args:
        folder: Folder of the run. If the run is finished, nothing is trained.
        epochs: Train to this epoch, which also trains a finished run further. The rest of the learning rate's schedule
            and `mosaic_off_epochs` are those of a run of so many epochs.
        minutes: Train until the run has taken so many minutes altogether, those before it was stopped included.
        patience, workers, threads, cache: As in `mbv3zoo.TrainConfig`. None leaves a setting as it is.
        device: As in `train`.

    Returns:
        As from `train`.

    Raises:
        ValueError: The folder holds no run, or a damaged one; another process trains it; its data has other classes
            now; `epochs` are done already.
        TrainingStopped: As for `train`.

    Example:
        >>> result = mbv3zoo.resume_training('runs/train-1')
        >>> result.metrics.images
        4
        >>> result = mbv3zoo.resume_training('runs/train-1', epochs=2)
        epoch ...
    """
    use_device(device)
    resume(folder, epochs=epochs, minutes=minutes, patience=patience, workers=workers, threads=threads, cache=cache)
    return _result(Path(folder))


def _result(folder: Path) -> TrainResult:
    metrics = read_metrics(folder)
    if metrics is None:
        raise ValueError(f'{folder / METRICS_NAME} is missing or damaged; resume the run to have it written again')
    return TrainResult(Model.from_pretrained(folder / 'best'), folder, metrics)
