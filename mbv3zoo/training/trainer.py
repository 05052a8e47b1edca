"""The training loop: dataset -> batch -> logits -> loss -> optimizer -> EMA -> a saved folder that is a Hub repo."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from timm.utils import ModelEmaV3

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.data.loader import collate, train_loader
from mbv3zoo.data.records import DetectionSet
from mbv3zoo.data.samples import TrainSamples
from mbv3zoo.detector import Detector
from mbv3zoo.evaluation.metrics import Evaluation, Metrics
from mbv3zoo.saving.folder import PICTURE_NAME
from mbv3zoo.training.checkpoint import STATE_NAME, load_state, save_state
from mbv3zoo.training.epoch_log import EpochLog
from mbv3zoo.training.failures import TrainingDiverged, naming_the_checkpoint
from mbv3zoo.training.loss_parts import Losses
from mbv3zoo.training.losses import create_loss
from mbv3zoo.training.memory import keep_freed_memory
from mbv3zoo.training.optimizer import create_optimizer, create_schedule, unscaled_lr
from mbv3zoo.training.prepare import check_data, create_accelerator, prepare_backbone
from mbv3zoo.training.results import METRICS_NAME
from mbv3zoo.training.shared_evaluation import evaluate_together
from mbv3zoo.training.sync_norm import synchronise_norms
from mbv3zoo.utils.folders import check_new_folder
from mbv3zoo.utils.progress import bar

_PREVIEW_NAME = 'train_batch.png'


class Trainer:
    """Trains a detector and keeps what a run needs in one folder.

    The folder holds `last/` and `best/` (detector folders, with the moving average of the weights), `state.pt` (all
    that `resume` needs), `results.csv` (one line an epoch) and its curves, `train_batch.png` (pictures as they are
    trained on) and, at the end, `report/` (what `mbv3zoo val` writes, of the best weights).

    Args:
        detector: What to train; its classes must be the data set's. It is changed in place, and stays frozen where
            `config` freezes it; what is frozen in it already stays so too.
        train_set: Labelled pictures to learn from.
        val_set: Labelled pictures to be scored on; None skips evaluation, and `best/` is then not written.
        config: How to train.
        run: The run's folder.
        resume: Go on in this folder: from its `state.pt`, or from the start where the run was stopped in its first
            epoch. Otherwise the folder must not exist yet, or be empty.
        card_data: Facts for the model card of what is saved.

    Raises:
        ValueError: The folder is in use, there is nothing to resume, the data does not fit the detector, its
            backbone cannot be frozen or checkpointed as `config` says, or a cache has no room.
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
        # channels_last takes two thirds of the time of the default layout, on CPUs as on GPUs.
        detector = detector.to(self.accelerator.device).to(memory_format=torch.channels_last)
        self.class_names = train_set.class_names
        self.samples = TrainSamples(train_set, detector.config.image_size, config, detector.config.in_chans)
        # A copy, so made before the norms are changed for training.
        self.ema = ModelEmaV3(detector, config.ema_decay, use_warmup=True) if config.ema_decay else None
        processes = self.accelerator.num_processes
        if processes > 1 and config.sync_norm:
            synchronise_norms(detector, self.accelerator.device)
        self.loss = create_loss(detector, config, processes).to(self.accelerator.device)
        self.model, self.optimizer, self.loader = self.accelerator.prepare(
            detector, create_optimizer(detector, config), train_loader(self.samples, config, processes)
        )
        self.updates_per_epoch = math.ceil(len(self.loader) / config.accumulate)
        self.schedule = create_schedule(self.optimizer, config, self.updates_per_epoch)
        self.epoch = self.saved_epoch = self.best_epoch = 0
        self.best_ap, self.waited = -1.0, 0.0
        self.log = EpochLog(self.run, config.epochs, self.accelerator.log if config.tracker else None)
        if resume and (self.run / STATE_NAME).exists():
            self._load()

    @property
    def kept(self) -> Detector:
        """The detector that is evaluated and saved: the moving average, where there is one."""
        return self.ema.module if self.ema else self.accelerator.unwrap_model(self.model)

    def fit(self) -> Metrics | None:
        """Trains to the last epoch, or until `patience` is over; returns the last evaluation.

        Raises:
            TrainingDiverged: The loss or the weights are no longer finite; the last checkpoint is kept.
            TrainingStopped: Data or disk failed; the last checkpoint is kept.
        """
        metrics = None
        report = self.run / METRICS_NAME
        if self._finished() and (report.exists() or not self.val_set):
            return None
        if self.accelerator.is_main_process:
            self.run.mkdir(parents=True, exist_ok=True)
            # Of a finished run that trains on: these are no longer the metrics of its best weights.
            report.unlink(missing_ok=True)
        if self.config.tracker:
            self.accelerator.init_trackers('tracker', self.config.model_dump(mode='json'))
        with naming_the_checkpoint(self):
            if self.epoch == 0 and self.accelerator.is_main_process:
                self.preview(self.run / _PREVIEW_NAME)
            while not self._finished():
                metrics = self._epoch()
            if self.val_set:
                self._report(self.val_set)
        if self.config.tracker:
            self.accelerator.end_training()
        return metrics

    def preview(self, path: Path) -> None:
        """Draws the first pictures of the first epoch as they are trained on, with their boxes."""
        from mbv3zoo.plots.pictures import plot_batch

        images, targets = collate([self.samples[i] for i in range(min(16, len(self.samples)))])
        path.parent.mkdir(parents=True, exist_ok=True)
        plot_batch(images, targets, self.class_names, path)

    def _epoch(self) -> Metrics | None:
        start, epoch = time.time(), self.epoch
        losses = self._train_epoch(epoch)
        self._check_weights()
        self.epoch = epoch + 1
        last = self.epoch == self.config.epochs
        evaluation = None
        if self.val_set and (last or self.epoch % self.config.eval_every == 0):
            evaluation = self._evaluate(self.kept)
        metrics = evaluation.metrics if evaluation else None
        # On every process: all of them have to agree on when patience is over.
        better = False
        if metrics is not None and not metrics.ap <= self.best_ap:
            better, self.best_epoch = True, self.epoch
            self.best_ap = -1.0 if math.isnan(metrics.ap) else metrics.ap
        if self.accelerator.is_main_process:
            self._save_detectors(metrics, better)
            seconds = time.time() - start
            values = {
                'seconds': seconds,
                'waiting': self.waited / max(seconds, 1e-9),
                'lr': unscaled_lr(self.optimizer),
                **dict(zip(Losses._fields[1:], losses, strict=True)),
            }
            self.log.write(self.epoch, values, metrics)
            # Last, so that a run that is killed between the files goes on from before the others, never from after.
            self._save_state()
        self.accelerator.wait_for_everyone()
        self.saved_epoch = self.epoch
        return metrics

    def _train_epoch(self, epoch: int) -> list[float]:
        """One pass; returns the mean box, objectness and class losses over all processes."""
        # Everything drawn in an epoch follows from the seed and its number, so that a resumed run draws the same.
        torch.manual_seed(self.config.seed + epoch)
        self.loader.set_epoch(epoch)
        # accelerate's loader hands the epoch on to the data set in some of its versions and modes only.
        self.samples.set_epoch(epoch)
        self.model.train()
        sums, update = torch.zeros(3, device=self.accelerator.device), epoch * self.updates_per_epoch
        progress = bar(len(self.loader), f'epoch {epoch + 1}/{self.config.epochs}', self.accelerator.is_main_process)
        with progress:
            for count, (images, targets) in enumerate(self._batches(), start=1):
                update += (count - 1) % self.config.accumulate == 0
                losses = self._step(images, targets, update)
                sums += torch.stack(losses[1:])
                progress.update()
                if count % 10 == 1:
                    means = zip(Losses._fields[1:], (sums / count).tolist(), strict=True)
                    progress.set_postfix_str(' '.join(f'{name} {value:.4f}' for name, value in means))
        return self.accelerator.reduce(sums / len(self.loader), 'mean').tolist()

    def _batches(self) -> Iterator[Any]:
        """The loader's batches; the time spent waiting for them is kept in `waited`."""
        self.waited, start = 0.0, time.perf_counter()
        for batch in self.loader:
            self.waited += time.perf_counter() - start
            yield batch
            start = time.perf_counter()

    def _step(self, images: torch.Tensor, targets: Any, update: int) -> Losses:
        with self.accelerator.accumulate(self.model):
            with self.accelerator.autocast():
                logits = self.model(images.to(torch.float, memory_format=torch.channels_last) / 255)
            losses = self.loss(logits, targets)
            if not torch.isfinite(losses.total):
                parts = ', '.join(f'{name} {value.item()}' for name, value in zip(losses._fields, losses, strict=True))
                raise self._diverged(f'the loss is no longer finite at update {update} ({parts})')
            self.accelerator.backward(losses.total)
            if self.accelerator.sync_gradients and self.config.clip_grad:
                self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.clip_grad)
            self.optimizer.step()
            self.optimizer.zero_grad()
            if self.accelerator.sync_gradients:
                self.schedule.step_update(update)
                if self.ema:
                    self.ema.update(self.accelerator.unwrap_model(self.model), update)
        return losses

    def _check_weights(self) -> None:
        # The last step of an epoch may spoil the weights without a later loss to show it before they are saved.
        state = self.accelerator.unwrap_model(self.model).state_dict()
        spoilt = [name for name, tensor in state.items() if not torch.isfinite(tensor).all()]
        if spoilt:
            raise self._diverged(f'{len(spoilt)} weights are no longer finite, {spoilt[0]} first')

    def _diverged(self, what: str) -> TrainingDiverged:
        saved = self.saved_epoch
        kept = f'{self.run / "last"} holds the weights of epoch {saved}' if saved else 'nothing was saved yet'
        return TrainingDiverged(f'{what}; {kept}. Try a lower lr (now {self.config.lr}) or a longer warm-up.')

    def _finished(self) -> bool:
        return self.epoch >= self.config.epochs or self._out_of_patience()

    def _out_of_patience(self) -> bool:
        patience = self.config.patience
        return bool(patience and self.val_set and self.best_epoch and self.epoch - self.best_epoch >= patience)

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

    def _report(self, val_set: DetectionSet) -> None:
        """Scores `best/`, as it lies on disk, and writes what a person looks at."""
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

    def _save_detectors(self, metrics: Metrics | None, better: bool) -> None:
        card = self.card_data | ({'metrics': metrics} if metrics else {})
        self.kept.save_pretrained(self.run / 'last', card_data=card, keep_card=False)
        if better:
            self.kept.save_pretrained(self.run / 'best', card_data=card, keep_card=False)

    def _save_state(self) -> None:
        scaler = self.accelerator.scaler
        save_state(
            self.run,
            {
                'epoch': self.epoch,
                'best_ap': self.best_ap,
                'best_epoch': self.best_epoch,
                'model': self.accelerator.unwrap_model(self.model).state_dict(),
                'ema': self.ema.module.state_dict() if self.ema else None,
                'optimizer': self.optimizer.state_dict(),
                'scaler': scaler.state_dict() if scaler else None,
            },
        )

    def _load(self) -> None:
        state = load_state(self.run)
        self.epoch, self.best_ap, self.best_epoch = state['epoch'], state['best_ap'], state['best_epoch']
        self.accelerator.unwrap_model(self.model).load_state_dict(state['model'])
        if self.ema:
            self.ema.module.load_state_dict(state['ema'])
        self.optimizer.load_state_dict(state['optimizer'])
        if state['scaler']:
            self.accelerator.scaler.load_state_dict(state['scaler'])
        self.schedule.step_update(self.epoch * self.updates_per_epoch)
        self.saved_epoch = self.epoch
