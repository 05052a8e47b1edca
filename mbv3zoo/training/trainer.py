"""A training run: epochs of learning, each evaluated and saved, in a folder that can be resumed and published."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import DistributedType, broadcast_object_list

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.masks import MaskSet
from mbv3zoo.model import Model
from mbv3zoo.models.threads import ThreadTimer, is_given, torch_threads
from mbv3zoo.saving.folder import PICTURE_NAME
from mbv3zoo.training.best import clear_damaged, folder_fault, weights_digest
from mbv3zoo.training.checkpoint import STATE_NAME, damaged_state, load_state, save_state
from mbv3zoo.training.epoch_log import EpochLog
from mbv3zoo.training.failures import naming_the_checkpoint
from mbv3zoo.training.learner import Learner
from mbv3zoo.training.memory import keep_freed_memory, most_memory
from mbv3zoo.training.optimizer import unscaled_lr
from mbv3zoo.training.pace import Pace
from mbv3zoo.training.prepare import check_data, create_accelerator, prepare_backbone, warn_of_lr
from mbv3zoo.training.preview import PREVIEW_NAME, draw_preview
from mbv3zoo.training.progress import Progress
from mbv3zoo.training.results import METRICS_NAME, is_reported
from mbv3zoo.training.run_data import slicing_of
from mbv3zoo.training.shared_evaluation import evaluate_together
from mbv3zoo.training.state_checks import SavedProgress, warn_of_other_data
from mbv3zoo.training.teacher import Teacher
from mbv3zoo.training.trackers import Trackers, tracker_names
from mbv3zoo.utils.cores import usable_cores, workers_or_default
from mbv3zoo.utils.folders import check_new_folder
from mbv3zoo.utils.progress import bar, write_above


class Trainer:
    """Trains a detector or segmenter and keeps everything about the run in one folder.

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
        teacher: A detector to learn from too, as `config.teacher` says.

    Raises:
        ValueError: The folder is in use, there is nothing to resume, the data does not fit the detector, its backbone
            does not support the freezing or gradient checkpointing of `config`, or a cache has no room.
    """

    def __init__(
        self,
        detector: Model,
        train_set: DetectionSet | MaskSet,
        val_set: DetectionSet | MaskSet | None,
        config: TrainConfig,
        run: str | Path,
        resume: bool = False,
        card_data: dict[str, Any] | None = None,
        teacher: Teacher | None = None,
    ) -> None:
        self.config, self.run, self.val_set = config, Path(run), val_set
        self.card_data = card_data or {}
        check_data(detector, train_set, val_set)
        warn_of_lr(config)
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
        self.images = len(train_set), len(val_set or ())
        self.learner = Learner(detector, train_set, config, self.accelerator, teacher)
        self.epoch = self.saved_epoch = self.best_epoch = 0
        self.best_ap = -1.0
        self.best_sha256: str | None = None
        self.threads: int | None = None
        self.trackers = Trackers(tracker_names(config.tracker), self.accelerator, self.run)
        self.log = EpochLog(self.run, config.epochs, self.trackers.log, detector.config.task)
        self.pace = Pace(config)
        self.last_epoch = config.epochs
        if resume and (self.run / STATE_NAME).exists():
            self._load()

    def fit(self) -> Any:
        """Trains to the last epoch, or until `patience` has run out.

        Returns:
            The last evaluation; None if there was none, or nothing was left to do.

        Raises:
            TrainingDiverged: The loss or the weights are no longer finite; the last checkpoint is kept.
            TrainingStopped: Data, disk or a loader process failed; the last checkpoint is kept.
        """
        metrics = None
        if self._finished() and (not self.val_set or is_reported(self.run)):
            return None
        threads = self.config.threads or self.threads
        with naming_the_checkpoint(self), self.trackers, torch_threads(threads, self.accelerator.num_processes):
            if not threads and not is_given() and self.accelerator.distributed_type == DistributedType.NO:
                self.learner.timer = ThreadTimer() if self.accelerator.device.type == 'cpu' else None
            if self.accelerator.is_main_process:
                self.run.mkdir(parents=True, exist_ok=True)
                # Where a finished run is trained further, they are no longer those of its best weights.
                (self.run / METRICS_NAME).unlink(missing_ok=True)
            self.trackers.start({**self.config.model_dump(mode='json'), **self._facts()})
            if self.epoch:
                self._restore_folders()
            elif self.accelerator.is_main_process:
                draw_preview(self.learner.samples, self.class_names, self.run / PREVIEW_NAME)
            self.pace.begin(self.pace.used())
            while not self._finished():
                metrics = self._epoch()
            if self.accelerator.is_main_process:
                self.log.end()
            if self.val_set:
                reported = self._report(self.val_set)
                metrics = reported if metrics is None else metrics
        return metrics

    def _facts(self) -> dict[str, Any]:
        """What trackers get to know besides the settings of training."""
        config = self.learner.kept.config
        facts = {'backbone': config.backbone, 'image_size': config.image_size, 'num_classes': config.num_classes}
        return {**facts, 'train_images': self.images[0], 'val_images': self.images[1]}

    def _epoch(self) -> Any:
        start, epoch = time.time(), self.epoch
        self.learner.plan_early = self._plan_early if self.config.minutes and not epoch else None
        losses = self.learner.train_epoch(epoch)
        if self.learner.timer and self.learner.timer.done:
            self.threads = torch.get_num_threads()
        self.learner.check_weights()
        self.epoch = epoch + 1
        if self.config.minutes:
            self._plan(self.pace.plan(self.epoch, self.last_epoch))
        last = self.epoch == self.last_epoch
        evaluation = None
        if self.val_set and (last or self.epoch % self.config.eval_every == 0):
            evaluation = self._evaluate(self.learner.kept)
        metrics = evaluation.metrics if evaluation else None
        # On every process: all of them have to agree on when patience has run out.
        better = metrics is not None and not metrics.score <= self.best_ap
        if metrics is not None and better:
            self._set_best(metrics, self.epoch)
        self.pace.end_epoch()
        if self.accelerator.is_main_process:
            self._save(self.run / 'last', metrics)
            if better:
                self._save(self.run / 'best', metrics)
                self.best_sha256 = weights_digest(self.run / 'best')
            seconds = time.time() - start
            values = {
                'seconds': seconds,
                'waiting': self.learner.waited / max(seconds, 1e-9),
                'lr': unscaled_lr(self.learner.optimizer),
                **dict(zip(self.learner.parts, losses, strict=True)),
            }
            memory = most_memory(self.accelerator.device)
            self.log.write(self.epoch, values, metrics, self.pace.left(self.last_epoch - self.epoch), memory)
            # Last, so that a run that is killed between the files resumes from before the others, never from after.
            self._save_state()
        self.accelerator.wait_for_everyone()
        self.saved_epoch = self.epoch
        return metrics

    def _finished(self) -> bool:
        return self.epoch >= self.last_epoch or Progress(self.epoch, self.best_epoch).out_of_patience(self.config)

    def _plan_early(self, share: float) -> None:
        self._plan(self.pace.plan_early(share, self.images))

    def _plan(self, epochs: int) -> None:
        """Fits what is left of the run to a number of epochs, that of the first process."""
        (epochs,) = broadcast_object_list([epochs])
        self.last_epoch = self.log.epochs = epochs
        self.learner.plan(epochs)

    def _evaluate(self, detector: Model, with_f1: bool = False) -> Any:
        assert self.val_set
        start = time.monotonic()
        with bar(len(self.val_set), 'evaluate', self.accelerator.is_main_process, 'images') as progress:
            evaluation = evaluate_together(
                self.accelerator,
                detector,
                self.val_set,
                batch_size=self.config.batch_size,
                workers=workers_or_default(self.config.workers, self.accelerator.num_processes),
                progress=progress.update,
                with_f1=with_f1,
                slicing=slicing_of(self.config),
            )
        self.pace.evaluating = time.monotonic() - start
        return evaluation

    def _report(self, val_set: DetectionSet | MaskSet) -> Any:
        """Evaluates `best/`, as it is on disk, and writes the report, its metrics last: they mean that all is done."""
        from mbv3zoo.plots.report import write_metrics, write_plots

        self.accelerator.wait_for_everyone()
        best = Model.from_pretrained(self.run / 'best').to(self.accelerator.device)
        evaluation = self._evaluate(best, with_f1=True)
        if self.accelerator.is_main_process:
            write_plots(evaluation, val_set, self.run / 'report')
            picture = (self.run / 'report' / PICTURE_NAME).read_bytes()
            card = self.card_data | {'metrics': evaluation.metrics}
            best.save_pretrained(self.run / 'best', card_data=card, picture=picture)
            write_metrics(evaluation.metrics, self.run / METRICS_NAME)
            write_above(str(evaluation.metrics))
        # So that every process can read them from here on.
        self.accelerator.wait_for_everyone()
        return evaluation.metrics

    def _restore_folders(self) -> None:
        """Makes `last/` and `best/` those of the state again, where they are damaged or an epoch was killed."""
        best = self.run / 'best'
        folders = [self.run / 'last', best] if self.best_epoch else [self.run / 'last']
        faults = {folder: fault for folder in folders if (fault := folder_fault(folder))}
        # Before the first process changes them.
        self.accelerator.wait_for_everyone()
        metrics = None
        if best in faults:
            metrics = self._evaluate(self.learner.kept).metrics
            self._set_best(metrics, self.epoch)
        elif self.best_sha256 and self.best_sha256 != weights_digest(best):
            # Of the next epoch, which was killed before it had saved its state.
            detector = Model.from_pretrained(best).to(self.accelerator.device)
            self._set_best(self._evaluate(detector.to(memory_format=torch.channels_last)).metrics, self.epoch + 1)
        if self.accelerator.is_main_process:
            for folder, fault in faults.items():
                clear_damaged(folder, fault)
                self._save(folder, metrics)
            self.best_sha256 = weights_digest(best) if self.best_epoch else None
        self.accelerator.wait_for_everyone()

    def _set_best(self, metrics: Any, epoch: int) -> None:
        self.best_epoch = epoch
        self.best_ap = -1.0 if math.isnan(metrics.score) else metrics.score

    def _save(self, folder: Path, metrics: Any) -> None:
        card = self.card_data | ({'metrics': metrics} if metrics else {})
        if self.config.minutes and 'train' in card:
            card['train'] = self.config.model_copy(update={'epochs': self.last_epoch})
        self.learner.kept.save_pretrained(folder, card_data=card)

    def _save_state(self) -> None:
        own = {
            'epoch': self.epoch,
            'best_ap': self.best_ap,
            'best_epoch': self.best_epoch,
            'best_sha256': self.best_sha256,
            'images': self.images,
            'threads': self.threads,
            'detector': self.learner.kept.config.model_dump(mode='json'),
        }
        if pace := self.pace.saved(self.last_epoch):
            own['pace'] = pace.model_dump(mode='json')
        save_state(self.run, own | self.learner.state_dict())

    def _load(self) -> None:
        state = load_state(self.run)
        saved = SavedProgress.of(state, self.run)
        try:
            self.learner.load_state_dict(state, saved.epoch)
        except ValueError as error:
            raise damaged_state(self.run, str(error)) from error
        self.epoch, self.best_ap, self.best_epoch = saved.epoch, saved.best_ap, saved.best_epoch
        self.best_sha256 = saved.best_sha256
        # As before, for the same sums to the bit; where there are fewer cores now, they are timed anew.
        self.threads = saved.threads if (saved.threads or 0) <= usable_cores() else None
        self.pace = Pace(self.config, saved.pace)
        self._plan(Progress(saved.epoch, saved.best_epoch, saved.pace).last_epoch(self.config))
        warn_of_other_data(self.run, saved.images, self.images)
        self.saved_epoch = self.epoch
