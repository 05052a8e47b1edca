"""A training run: epochs of learning, each evaluated and saved, in a folder that can be resumed and published."""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from typing import Any

import torch

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.data.loader import collate
from mbv3zoo.data.records import DetectionSet
from mbv3zoo.detector import Detector
from mbv3zoo.evaluation.metrics import Evaluation, Metrics
from mbv3zoo.saving.folder import PICTURE_NAME
from mbv3zoo.training.checkpoint import STATE_NAME, load_state, save_state
from mbv3zoo.training.epoch_log import EpochLog
from mbv3zoo.training.failures import naming_the_checkpoint
from mbv3zoo.training.learner import Learner
from mbv3zoo.training.loss_parts import Losses
from mbv3zoo.training.memory import keep_freed_memory
from mbv3zoo.training.optimizer import unscaled_lr
from mbv3zoo.training.prepare import check_data, create_accelerator, prepare_backbone
from mbv3zoo.training.progress import Progress
from mbv3zoo.training.results import METRICS_NAME
from mbv3zoo.training.shared_evaluation import evaluate_together
from mbv3zoo.utils.folders import check_new_folder
from mbv3zoo.utils.progress import bar

_logger = logging.getLogger(__name__)

_PREVIEW_NAME = 'train_batch.png'


class Trainer:
    """Trains a detector and keeps everything about the run in one folder.

    The folder holds `last/` and `best/` (detector folders, with the moving average of the weights), `state.pt` (to
    resume from), `results.csv` (one line per epoch) and its curves, `train_batch.png` (images as they are trained on)
    and, at the end, `report/` (as `mbv3zoo val` writes it, of the best weights).

    Args:
        detector: What to train; its classes must be those of the dataset. It is changed in place and stays frozen where
            `config` freezes it; what was frozen before stays so too.
        train_set: Labelled images to train on.
        val_set: Labelled images to evaluate on; None skips evaluation, and `best/` is then not written.
        config: How to train.
        run: Folder of the run.
        resume: Resume the run in this folder: from its `state.pt`, or from the start if it was stopped in its first
            epoch. Otherwise the folder must not exist, or be empty.
        card_data: Further arguments of `mbv3zoo.cards.render.render_card` for what is saved.

    Raises:
        ValueError: The folder is in use, there is nothing to resume, the data does not fit the detector, its backbone
            does not support the freezing or gradient checkpointing of `config`, or a cache has no room.
    """

    def __init__(
        self,
        detector: Detector,
        train_set: DetectionSet,
        val_set: DetectionSet | None,
        config: TrainConfig,
        run: str | Path,
        resume: bool = False,
        card_data: dict[str, Any] | None = None,
    ) -> None:
        self.config, self.run, self.val_set = config, Path(run), val_set
        self.card_data = card_data or {}
        check_data(detector, train_set, val_set)
        if not resume:
            check_new_folder(self.run)
        elif not self.run.is_dir():
            raise ValueError(f'{self.run}: nothing to resume; there is no such folder')
        prepare_backbone(detector, config)
        torch.manual_seed(config.seed)
        self.accelerator = create_accelerator(config, self.run)
        if self.accelerator.device.type == 'cpu':
            keep_freed_memory()
        self.class_names = train_set.class_names
        self.learner = Learner(detector, train_set, config, self.accelerator)
        self.epoch = self.saved_epoch = self.best_epoch = 0
        self.best_ap = -1.0
        self.log = EpochLog(self.run, config.epochs, self.accelerator.log if config.tracker else None)
        if resume and (self.run / STATE_NAME).exists():
            self._load()

    def fit(self) -> Metrics | None:
        """Trains to the last epoch, or until `patience` has run out.

        Returns:
            The last evaluation; None if there was none, or nothing was left to do.

        Raises:
            TrainingDiverged: The loss or the weights are no longer finite; the last checkpoint is kept.
            TrainingStopped: Data, disk or a loader process failed; the last checkpoint is kept.
        """
        metrics = None
        report = self.run / METRICS_NAME
        if self._finished() and (report.exists() or not self.val_set):
            return None
        if self.accelerator.is_main_process:
            self.run.mkdir(parents=True, exist_ok=True)
            # If a finished run is trained further, these are no longer the metrics of its best weights.
            report.unlink(missing_ok=True)
        if self.config.tracker:
            self.accelerator.init_trackers('tracker', self.config.model_dump(mode='json'))
        with naming_the_checkpoint(self):
            if self.epoch == 0 and self.accelerator.is_main_process:
                self.preview(self.run / _PREVIEW_NAME)
            while not self._finished():
                metrics = self._epoch()
            if self.val_set:
                reported = self._report(self.val_set)
                metrics = reported if metrics is None else metrics
        if self.config.tracker:
            self.accelerator.end_training()
        return metrics

    def preview(self, path: Path) -> None:
        """Draws the first images of the first epoch as they are trained on, with their boxes."""
        from mbv3zoo.plots.pictures import plot_batch

        samples = self.learner.samples
        images, targets = collate([samples[i] for i in range(min(16, len(samples)))])
        path.parent.mkdir(parents=True, exist_ok=True)
        plot_batch(images, targets, self.class_names, path)

    def _epoch(self) -> Metrics | None:
        start, epoch = time.time(), self.epoch
        losses = self.learner.train_epoch(epoch)
        self.learner.check_weights()
        self.epoch = epoch + 1
        last = self.epoch == self.config.epochs
        evaluation = None
        if self.val_set and (last or self.epoch % self.config.eval_every == 0):
            evaluation = self._evaluate(self.learner.kept)
        metrics = evaluation.metrics if evaluation else None
        # On every process: all of them have to agree on when patience has run out.
        better = False
        if metrics is not None and not metrics.ap <= self.best_ap:
            better, self.best_epoch = True, self.epoch
            self.best_ap = -1.0 if math.isnan(metrics.ap) else metrics.ap
        if self.accelerator.is_main_process:
            self._save_detectors(metrics, better)
            seconds = time.time() - start
            values = {
                'seconds': seconds,
                'waiting': self.learner.waited / max(seconds, 1e-9),
                'lr': unscaled_lr(self.learner.optimizer),
                **dict(zip(Losses._fields[1:], losses, strict=True)),
            }
            self.log.write(self.epoch, values, metrics)
            # Last, so that a run that is killed between the files resumes from before the others, never from after.
            self._save_state()
        self.accelerator.wait_for_everyone()
        self.saved_epoch = self.epoch
        return metrics

    def _finished(self) -> bool:
        return Progress(self.epoch, self.best_epoch).is_done(self.config)

    def _evaluate(self, detector: Detector) -> Evaluation:
        assert self.val_set
        with bar(len(self.val_set), 'evaluate', self.accelerator.is_main_process) as progress:
            return evaluate_together(
                self.accelerator,
                detector,
                self.val_set,
                batch_size=self.config.batch_size,
                workers=self.config.workers,
                progress=progress.update,
            )

    def _report(self, val_set: DetectionSet) -> Metrics:
        """Evaluates `best/`, as it is on disk, and writes the report."""
        from mbv3zoo.plots.report import write_report

        self.accelerator.wait_for_everyone()
        best = Detector.from_pretrained(self.run / 'best').to(self.accelerator.device)
        evaluation = self._evaluate(best)
        if self.accelerator.is_main_process:
            write_report(evaluation, val_set, (self.run / METRICS_NAME).parent)
            picture = (self.run / 'report' / PICTURE_NAME).read_bytes()
            card = self.card_data | {'metrics': evaluation.metrics}
            best.save_pretrained(self.run / 'best', card_data=card, picture=picture, keep_card=False)
        # So that every process can read them from here on.
        self.accelerator.wait_for_everyone()
        return evaluation.metrics

    def _save_detectors(self, metrics: Metrics | None, better: bool) -> None:
        card = self.card_data | ({'metrics': metrics} if metrics else {})
        self.learner.kept.save_pretrained(self.run / 'last', card_data=card, keep_card=False)
        if better:
            self.learner.kept.save_pretrained(self.run / 'best', card_data=card, keep_card=False)

    def _save_state(self) -> None:
        own = {'epoch': self.epoch, 'best_ap': self.best_ap, 'best_epoch': self.best_epoch, 'images': self._images()}
        save_state(self.run, own | self.learner.state_dict())

    def _images(self) -> list[int]:
        """Number of training and of validation images."""
        return [len(self.learner.samples), len(self.val_set or ())]

    def _load(self) -> None:
        state = load_state(self.run)
        self.epoch, self.best_ap, self.best_epoch = state['epoch'], state['best_ap'], state['best_epoch']
        self.learner.load_state_dict(state, self.epoch)
        before, now = state.get('images'), self._images()  # older states have none
        if before and before != now:
            _logger.warning(
                '%s: the data has changed: it has %d training and %d validation images, and had %d and %d',
                self.run, *now, *before,
            )  # fmt: skip
        self.saved_epoch = self.epoch
