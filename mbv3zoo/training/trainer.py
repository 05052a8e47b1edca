"""The training loop: dataset -> batch -> logits -> loss -> optimizer -> EMA -> a saved folder that is a Hub repo."""

from __future__ import annotations

import csv
import io
import math
import time
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DataLoaderConfiguration
from timm.utils import ModelEmaV3
from tqdm import tqdm

from mbv3zoo.atomic import atomic_write
from mbv3zoo.config import TrainConfig
from mbv3zoo.data.loader import TrainSamples, train_loader
from mbv3zoo.data.records import DetectionSet
from mbv3zoo.detector import Detector
from mbv3zoo.evaluation import Metrics, check_classes, evaluate
from mbv3zoo.folders import check_new_folder
from mbv3zoo.progress import bar
from mbv3zoo.training.checkpoint import STATE_NAME, load_state, save_state
from mbv3zoo.training.loss import DetectionLoss, Losses
from mbv3zoo.training.optimizer import create_optimizer, create_schedule, unscaled_lr

_LOG_FIELDS = ('epoch', 'seconds', 'lr', 'box', 'objectness', 'classes', 'ap', 'ap50', 'ap75')


class TrainingDiverged(RuntimeError):
    """The loss or the weights became nan or infinite."""


class Trainer:
    """Trains a detector and keeps what a run needs in one folder.

    The folder holds `last/` and `best/` (detector folders, with the moving average of the weights), `state.pt` (all
    that `resume` needs) and `results.csv` (one line an epoch).

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
        ValueError: The folder is in use, there is nothing to resume, the data does not fit the detector, or its
            backbone cannot be frozen or checkpointed as `config` says.
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
        _apply(config, detector)
        torch.manual_seed(config.seed)
        self.accelerator = Accelerator(
            mixed_precision=config.mixed_precision,
            dataloader_config=DataLoaderConfiguration(use_seedable_sampler=True, data_seed=config.seed),
        )
        # channels_last takes two thirds of the time of the default layout, on CPUs as on GPUs.
        detector = detector.to(self.accelerator.device, memory_format=torch.channels_last)
        self.samples = TrainSamples(train_set, detector.config.image_size, config, detector.config.in_chans)
        self.ema = ModelEmaV3(detector, config.ema_decay, use_warmup=True) if config.ema_decay else None
        self.loss = DetectionLoss(
            detector.anchors, detector.strides, detector.config.num_classes, detector.config.image_size, config
        ).to(self.accelerator.device)
        self.model, self.optimizer, self.loader = self.accelerator.prepare(
            detector, create_optimizer(detector, config), train_loader(self.samples, config)
        )
        self.schedule = create_schedule(self.optimizer, config, len(self.loader))
        self.epoch, self.best_ap = 0, -1.0
        if resume and (self.run / STATE_NAME).exists():
            self._load()

    @property
    def kept(self) -> Detector:
        """The detector that is evaluated and saved: the moving average, where there is one."""
        return self.ema.module if self.ema else self.accelerator.unwrap_model(self.model)

    def fit(self) -> Metrics | None:
        """Trains to the last epoch; returns the last evaluation.

        Raises:
            TrainingDiverged: The loss or the weights are no longer finite; the last checkpoint is kept.
        """
        metrics = None
        if self.accelerator.is_main_process:
            self.run.mkdir(parents=True, exist_ok=True)
        for epoch in range(self.epoch, self.config.epochs):
            start = time.time()
            losses = self._train_epoch(epoch)
            self._check_weights()
            self.epoch = epoch + 1
            last = self.epoch == self.config.epochs
            metrics = None
            if self.accelerator.is_main_process:
                if self.val_set and (last or self.epoch % self.config.eval_every == 0):
                    metrics = self._evaluate()
                self._save_detectors(metrics)
                self._log(time.time() - start, losses, metrics)
                # Last, so that a run that is killed between the files goes on from before the others, never from after.
                self._save_state()
            self.accelerator.wait_for_everyone()
        return metrics

    def _train_epoch(self, epoch: int) -> list[float]:
        """One pass; returns the mean box, objectness and class losses."""
        # Everything drawn in an epoch follows from the seed and its number, so that a resumed run draws the same.
        torch.manual_seed(self.config.seed + epoch)
        self.loader.set_epoch(epoch)
        # accelerate's loader hands the epoch on to the data set in some of its versions and modes only.
        self.samples.set_epoch(epoch)
        self.model.train()
        sums, step = torch.zeros(3), epoch * len(self.loader)
        progress = bar(self.loader, f'epoch {epoch + 1}/{self.config.epochs}', self.accelerator.is_main_process)
        for count, (images, targets) in enumerate(progress, start=1):
            step += 1
            losses = self._step(images, targets, step)
            sums += torch.stack(losses[1:]).cpu()
            if count % 10 == 1:
                means = zip(Losses._fields[1:], sums / count, strict=True)
                progress.set_postfix_str(' '.join(f'{name} {value:.4f}' for name, value in means))
        return (sums / len(self.loader)).tolist()

    def _step(self, images: torch.Tensor, targets: Any, step: int) -> Losses:
        with self.accelerator.autocast():
            logits = self.model(images.to(torch.float, memory_format=torch.channels_last) / 255)
        losses = self.loss(logits, targets)
        if not torch.isfinite(losses.total):
            parts = ', '.join(f'{name} {value.item()}' for name, value in zip(losses._fields, losses, strict=True))
            raise self._diverged(f'the loss is no longer finite at step {step} ({parts})')
        self.accelerator.backward(losses.total)
        if self.config.clip_grad:
            self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.clip_grad)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.schedule.step_update(step)
        if self.ema:
            self.ema.update(self.accelerator.unwrap_model(self.model), step)
        return losses

    def _check_weights(self) -> None:
        # The last step of an epoch may spoil the weights without a later loss to show it before they are saved.
        state = self.accelerator.unwrap_model(self.model).state_dict()
        spoilt = [name for name, tensor in state.items() if not torch.isfinite(tensor).all()]
        if spoilt:
            raise self._diverged(f'{len(spoilt)} weights are no longer finite, {spoilt[0]} first')

    def _diverged(self, what: str) -> TrainingDiverged:
        kept = f'{self.run / "last"} holds the weights of epoch {self.epoch}' if self.epoch else 'nothing was saved yet'
        return TrainingDiverged(f'{what}; {kept}. Try a lower lr (now {self.config.lr}) or a longer warm-up.')

    def _evaluate(self) -> Metrics:
        with bar(len(self.val_set), 'evaluate') as progress:
            return evaluate(
                self.kept,
                self.val_set,
                batch_size=self.config.batch_size,
                workers=self.config.workers,
                progress=progress.update,
            )

    def _save_detectors(self, metrics: Metrics | None) -> None:
        card = self.card_data | ({'metrics': metrics} if metrics else {})
        self.kept.save_pretrained(self.run / 'last', card_data=card, keep_card=False)
        if metrics and not metrics.ap <= self.best_ap:
            self.best_ap = -1.0 if math.isnan(metrics.ap) else metrics.ap
            self.kept.save_pretrained(self.run / 'best', card_data=card, keep_card=False)

    def _save_state(self) -> None:
        save_state(
            self.run,
            {
                'epoch': self.epoch,
                'best_ap': self.best_ap,
                'model': self.accelerator.unwrap_model(self.model).state_dict(),
                'ema': self.ema.module.state_dict() if self.ema else None,
                'optimizer': self.optimizer.state_dict(),
            },
        )

    def _load(self) -> None:
        state = load_state(self.run)
        self.epoch, self.best_ap = state['epoch'], state['best_ap']
        self.accelerator.unwrap_model(self.model).load_state_dict(state['model'])
        if self.ema:
            self.ema.module.load_state_dict(state['ema'])
        self.optimizer.load_state_dict(state['optimizer'])
        self.schedule.step_update(self.epoch * len(self.loader))

    def _log(self, seconds: float, losses: list[float], metrics: Metrics | None) -> None:
        path = self.run / 'results.csv'
        lr = unscaled_lr(self.optimizer)
        figures = [f'{v:.4f}' for v in metrics[:3]] if metrics else ['', '', '']
        values = [self.epoch, f'{seconds:.1f}', f'{lr:.6f}', *(f'{v:.5f}' for v in losses), *figures]
        row = dict(zip(_LOG_FIELDS, values, strict=True))
        rows = []
        if path.exists():
            with open(path, newline='', encoding='utf-8') as file:
                # A run that was killed before its state was saved has left lines of epochs that are trained again.
                rows = [old for old in csv.DictReader(file) if int(old['epoch']) < self.epoch]
        text = io.StringIO(newline='')
        writer = csv.DictWriter(text, _LOG_FIELDS, lineterminator='\n')
        writer.writeheader()
        writer.writerows([*rows, row])
        atomic_write(path, text.getvalue().encode('utf-8'))
        tqdm.write('  '.join(f'{key} {value}' for key, value in row.items() if value != ''))


def check_data(detector: Detector, train_set: DetectionSet, val_set: DetectionSet | None) -> None:
    """Raises ValueError where data and detector do not fit, or there is nothing to learn."""
    for data in filter(None, (train_set, val_set)):
        check_classes(detector, data)
    if not any(len(record.boxes) for record in train_set.records):
        raise ValueError(f'none of the {len(train_set)} training pictures has a label; check the label files')
    if detector.config.in_chans not in (1, 3):
        raise ValueError(f'training reads RGB or grey pictures; the detector has in_chans={detector.config.in_chans}')


def _apply(config: TrainConfig, detector: Detector) -> None:
    # Before the optimizer and the moving average are made: the one leaves out what is frozen, the other is a copy.
    if config.freeze_backbone:
        detector.freeze_backbone(config.freeze_backbone)
    if config.freeze_norm:
        detector.freeze_norm()
    if config.grad_checkpointing:
        detector.set_grad_checkpointing()
