"""One epoch of learning: batches -> logits -> loss -> optimizer -> moving average of the weights."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from accelerate import Accelerator
from timm.utils import ModelEmaV3
from torch import nn

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.loader import train_loader
from mbv3zoo.data.masks import MaskSet
from mbv3zoo.data.samples import TrainSamples
from mbv3zoo.model import Model
from mbv3zoo.models.threads import ThreadTimer
from mbv3zoo.training.auxiliary import AuxiliaryHead
from mbv3zoo.training.beside import WithBeside
from mbv3zoo.training.distillation import DistillationLoss
from mbv3zoo.training.imitation import Imitation, imitation_loss
from mbv3zoo.training.loss_watch import LossWatch
from mbv3zoo.training.losses import create_loss, detection_loss
from mbv3zoo.training.optimizer import create_optimizer, create_schedule
from mbv3zoo.training.state_checks import difference, new_optimizer_state
from mbv3zoo.training.sync_norm import synchronise_norms
from mbv3zoo.training.teacher import Teacher
from mbv3zoo.utils.progress import bar

# What may be trained beside a detector, by its name in states.
_BESIDE = ('auxiliary', 'imitation')


class Learner:
    """Trains a detector, epoch by epoch, on all processes.

    Args:
        detector: What to train; changed in place.
        train_set: Labelled images.
        config: How to train.
        accelerator: Devices, processes and precision (`mbv3zoo.training.prepare.create_accelerator`).
        teacher: A detector to learn from too (`TrainConfig.teacher`).

    Attributes:
        parts: Names of the parts of the loss.
        samples: The training images as they are trained on.
        plan_early: Is called a few times in an epoch, with the share of it that is done; may call `plan`.
        timer: Chooses the number of torch's threads, in the first steps; None leaves it.
        waited: Seconds of the last epoch that were spent waiting for images.
    """

    def __init__(
        self,
        detector: Model,
        train_set: DetectionSet | MaskSet,
        config: TrainConfig,
        accelerator: Accelerator,
        teacher: Teacher | None = None,
    ) -> None:
        self.config, self.accelerator = config, accelerator
        # channels_last takes two thirds of the time of the default layout, on CPUs as on GPUs.
        detector = detector.to(accelerator.device).to(memory_format=torch.channels_last)
        self.samples = TrainSamples(train_set, detector.config.image_size, config, detector.config.in_chans)
        # A copy, so made before the norms are changed for training.
        self.ema = ModelEmaV3(detector, config.ema_decay, use_warmup=True) if config.ema_decay else None
        # A detector wherever settings of one are asked for (`mbv3zoo.config.tasks`).
        network: Any = detector
        self.detector = detector
        self.beside = nn.ModuleDict()
        # It teaches the backbone, so a frozen one has none.
        if config.auxiliary_gain and any(weight.requires_grad for weight in network.backbone.parameters()):
            self.beside['auxiliary'] = AuxiliaryHead(network)
        if teacher and config.imitation_gain and set(network.strides) & teacher.channels.keys():
            self.beside['imitation'] = Imitation(network.neck.out_channels, network.strides, teacher.channels)
        self.beside.to(accelerator.device)
        learning = WithBeside(network, self.beside) if self.beside else detector
        processes = accelerator.num_processes
        if processes > 1 and config.sync_norm:
            synchronise_norms(learning, accelerator.device)
        self.loss = create_loss(detector, config, processes).to(accelerator.device)
        self.parts = self.loss.parts
        if 'auxiliary' in self.beside:
            self.auxiliary_loss = detection_loss(self.beside['auxiliary'], network.config, config, processes)
            self.auxiliary_loss.to(accelerator.device)
            self.parts = (*self.parts, 'auxiliary')
        self.teacher = teacher
        if teacher:
            teacher.to(accelerator.device)
            self.parts = (*self.parts, 'teacher')
            self.distillation = DistillationLoss(network.anchors, network.strides, teacher.known, config)
        self.model, self.optimizer, self.loader = accelerator.prepare(
            learning,
            create_optimizer(detector, config, self.beside),
            train_loader(self.samples, config, processes),
        )
        if config.compile:
            # In place: names, weights and what is saved stay as they are.
            accelerator.unwrap_model(self.model).compile()
        self.updates_per_epoch = math.ceil(len(self.loader) / config.accumulate)
        self.schedule = create_schedule(self.optimizer, config, self.updates_per_epoch)
        self.epochs, self.updates = config.epochs, 0
        self.plan_early: Callable[[float], object] | None = None
        self.timer: ThreadTimer | None = None
        self.waited = 0.0

    @property
    def kept(self) -> Model:
        """The detector that is evaluated and saved: the moving average of the weights, if there is one."""
        return self.ema.module if self.ema else self.detector

    def plan(self, epochs: int) -> None:
        """Fits the rest of the schedule to a run of so many epochs: its learning rate, and where mosaics end."""
        if epochs == self.epochs:
            return
        self.epochs = epochs
        config = self.config.model_copy(update={'epochs': epochs})
        self.schedule = create_schedule(self.optimizer, config, self.updates_per_epoch)
        self.schedule.step_update(self.updates)

    def train_epoch(self, epoch: int) -> list[float]:
        """Trains one epoch, counted from 0; returns the mean parts of the loss over all processes.

        Raises:
            FloatingPointError: The loss or the weights are no longer finite.
        """
        # Everything drawn in an epoch follows from the seed and its number, so that a resumed run draws the same.
        torch.manual_seed(self.config.seed + epoch)
        self.loader.set_epoch(epoch)
        # accelerate's loader passes the epoch on to the dataset in some of its versions and modes only.
        self.samples.set_epoch(epoch, self.epochs)
        self.model.train()
        watch, self.updates = LossWatch(self.parts, self.accelerator.device), epoch * self.updates_per_epoch
        name, first = f'epoch {epoch + 1}/{self.epochs}', self.accelerator.is_main_process
        progress = bar(len(self.loader), name, first, 'batches')
        with progress:
            for count, (images, targets) in enumerate(self._batches(), start=1):
                self.updates += (count - 1) % self.config.accumulate == 0
                with self.timer.step() if self.timer else nullcontext():
                    watch.add(self._step(images, targets, self.updates), self.updates)
                progress.update()
                # The first step is slower than the others; then after 2, 4, 8, ...
                if self.plan_early and count > 1 and count & (count - 1) == 0:
                    self.plan_early(count / len(self.loader))
                if count % 10 == 1:
                    watch.ask()
                if means := watch.means():
                    progress.set_postfix_str(' '.join(f'{name} {value:.4f}' for name, value in means.items()))
        watch.check()
        return self.accelerator.reduce(watch.sums / len(self.loader), 'mean').tolist()

    def check_weights(self) -> None:
        """Raises FloatingPointError if weights are not finite: no loss has seen those of an epoch's last step."""
        state = self.accelerator.unwrap_model(self.model).state_dict()
        spoilt = [name for name, tensor in state.items() if not torch.isfinite(tensor).all()]
        if spoilt:
            raise FloatingPointError(f'{len(spoilt)} weights are no longer finite, {spoilt[0]} first')

    def state_dict(self) -> dict[str, Any]:
        """All that goes on learning after an epoch needs: tensors and plain values."""
        scaler = self.accelerator.scaler
        return {
            'model': self.detector.state_dict(),
            **{name: self.beside[name].state_dict() if name in self.beside else None for name in _BESIDE},
            'ema': self.ema.module.state_dict() if self.ema else None,
            'optimizer': self.optimizer.state_dict(),
            'scaler': scaler.state_dict() if scaler else None,
        }

    def load_state_dict(self, state: dict[str, Any], epoch: int) -> None:
        """Continues after `epoch` epochs from what `state_dict` returned then.

        Raises:
            ValueError: Something is missing, or is not of this detector and these settings. Nothing was changed.
        """
        self._check(state)
        self.detector.load_state_dict(state['model'])
        for name, module in self.beside.items():
            module.load_state_dict(state[name])
        if self.ema:
            self.ema.module.load_state_dict(state['ema'])
        self.optimizer.load_state_dict(state['optimizer'])
        if state.get('scaler'):
            self.accelerator.scaler.load_state_dict(state['scaler'])
        self.updates = epoch * self.updates_per_epoch
        self.schedule.step_update(self.updates)

    def _check(self, state: dict[str, Any]) -> None:
        own = self.state_dict()
        # A moving average or a scaler that is no longer wanted is left out.
        expected = {name: own[name] for name in ('model', *_BESIDE, 'ema', 'scaler') if own[name] is not None}
        # One that is newly wanted begins with the next step.
        if state.get('scaler') is None:
            expected.pop('scaler', None)
        for name, value in expected.items():
            if fault := difference(state.get(name), value, name):
                raise ValueError(fault)
        layout = new_optimizer_state(self.detector, self.config, self.beside)
        given = state.get('optimizer')
        if isinstance(given, dict) and isinstance(given.get('state'), dict):
            # A parameter that took part in no loss so far has no entry.
            layout['state'] = {index: entry for index, entry in layout['state'].items() if index in given['state']}
        if fault := difference(given, layout, 'optimizer', more=True):
            raise ValueError(
                f'{fault} (optimizer, lr_backbone, layer_decay and freeze_backbone in run.yaml must be '
                'as the run began)'
            )

    def _batches(self) -> Iterator[tuple[torch.Tensor, Any]]:
        """The loader's batches; the time spent waiting for them is kept in `waited`."""
        self.waited, start = 0.0, time.perf_counter()
        for batch in self.loader:
            self.waited += time.perf_counter() - start
            yield batch
            start = time.perf_counter()

    def _step(self, images: torch.Tensor, targets: Any, update: int) -> Sequence[torch.Tensor]:
        """Learns from one batch, uint8 [B, C, H, W] and its labels; `update` is the number of the optimizer step.

        Returns the loss and its parts.

        Nothing in it waits for the device: no number of a tensor is read, and no shape depends on one.
        """
        with self.accelerator.accumulate(self.model):
            with self.accelerator.autocast():
                logits = self.model(images.to(torch.float, memory_format=torch.channels_last) / 255)
                logits, beside = logits if self.beside else (logits, {})
                taught, maps = self.teacher(images) if self.teacher else (None, {})
            losses = self.loss(logits, targets)
            if 'auxiliary' in beside:
                losses = _with(
                    losses, self.config.auxiliary_gain * self.auxiliary_loss(beside['auxiliary'], targets)[0]
                )
            if taught:
                loss = self.distillation(logits, taught)
                if 'imitation' in beside:
                    loss = loss + self.config.imitation_gain * imitation_loss(beside['imitation'], maps)
                losses = _with(losses, loss)
            self.accelerator.backward(losses[0])
            if self.accelerator.sync_gradients and self.config.clip_grad:
                self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.clip_grad)
            self.optimizer.step()
            self.optimizer.zero_grad()
            if self.accelerator.sync_gradients:
                self.schedule.step_update(update)
                if self.ema:
                    self.ema.update(self.detector, update)
        return losses


def _with(losses: Sequence[torch.Tensor], more: torch.Tensor) -> Sequence[torch.Tensor]:
    """A total and its parts, with one part more."""
    return (losses[0] + more, *losses[1:], more.detach())
