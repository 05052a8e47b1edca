"""What is told of the losses of an epoch while it runs, without waiting for the device."""

from __future__ import annotations

from collections.abc import Sequence

import torch


class LossWatch:
    """Sums the losses of an epoch on the device, and notes there the first that is not finite.

    A GPU computes behind the program that calls it. To read a number of the step that was just asked for would make
    the program wait, and then the GPU. So numbers are copied on their way (`ask`), and read when they have arrived.

    Args:
        parts: Names of the losses' parts, the total left out.
        device: Where the losses are.

    Attributes:
        sums: float32 [parts], on the device.
    """

    def __init__(self, parts: Sequence[str], device: torch.device) -> None:
        self.parts = tuple(parts)
        self.sums = torch.zeros(len(parts), device=device)
        # Of the first step that is not finite: its update, total and parts. The update is 0 as long as there is none.
        self._failed = torch.zeros(2 + len(parts), device=device)
        self._steps = 0
        self._asked: tuple[int, torch.Tensor, torch.cuda.Event | None] | None = None

    def add(self, losses: Sequence[torch.Tensor], update: int) -> None:
        """Adds the losses of a step, the total first; `update` is the number of its optimizer step, from 1."""
        values = torch.stack([loss.detach().float() for loss in losses])
        self._steps += 1
        self.sums += values[1:]
        first = (self._failed[0] == 0) & ~torch.isfinite(values[0])
        self._failed = torch.where(first, torch.cat([values.new_full((1,), update), values]), self._failed)

    def ask(self) -> None:
        """Lets the numbers come, if none are on their way."""
        if self._asked is None:
            values = torch.cat([self._failed, self.sums])
            on_gpu = values.device.type == 'cuda'
            copied = values.to('cpu', non_blocking=on_gpu)
            event = torch.cuda.Event() if on_gpu else None
            if event:
                event.record()
            self._asked = self._steps, copied, event

    def means(self) -> dict[str, float] | None:
        """Mean parts of the steps up to the last `ask`, once they have arrived; None before, and the next time.

        Raises:
            FloatingPointError: One of these steps was not finite; the message names its update.
        """
        if self._asked is None or (self._asked[2] and not self._asked[2].query()):
            return None
        steps, values, _ = self._asked
        self._asked = None
        return self._read(steps, values)

    def check(self) -> None:
        """Waits for the device, and raises FloatingPointError as `means` does, for all steps."""
        self._read(self._steps, torch.cat([self._failed, self.sums]))

    def _read(self, steps: int, values: torch.Tensor) -> dict[str, float]:
        update, total, *numbers = values.tolist()
        parts, sums = numbers[: len(self.parts)], numbers[len(self.parts) :]
        if update:
            failed = zip(('total', *self.parts), (total, *parts), strict=True)
            shown = ', '.join(f'{name} {value}' for name, value in failed)
            raise FloatingPointError(f'the loss is no longer finite at update {update:.0f} ({shown})')
        return {name: value / steps for name, value in zip(self.parts, sums, strict=True)}
