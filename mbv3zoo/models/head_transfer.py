"""A head's weights for another list of classes: what does not depend on classes, and classes of the same name, stay."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def transfer_head(
    trained: torch.Tensor,
    fresh: torch.Tensor,
    trained_names: Sequence[str],
    fresh_names: Sequence[str],
    others: int = 5,
) -> torch.Tensor:
    """Moves a trained head's rows into a fresh head's.

    Args:
        trained: Weight [A * (5 + K), C, 1, 1] or bias [A * (5 + K)] of a level's convolution.
        fresh: The same of the new head, [A * (5 + K2), ...], whose rows are kept for classes that are new.
        trained_names: Its K class names.
        fresh_names: The new K2 class names.
        others: Outputs before those of the classes: tx, ty, tw, th and objectness of a detector.

    Returns:
        A tensor like `fresh`.

    Raises:
        ValueError: The two differ in anchors or channels, or the trained head is not one for its class names.
    """
    outputs = others + len(trained_names)
    if len(trained) % outputs:
        raise ValueError(
            f'the head has {len(trained)} outputs, expected a multiple of {outputs}: {others} and one for each of '
            f'{len(trained_names)} classes, for each anchor'
        )
    old = trained.unflatten(0, (-1, outputs))
    new = fresh.clone().unflatten(0, (-1, others + len(fresh_names)))
    if old.shape[0] != new.shape[0] or old.shape[2:] != new.shape[2:]:
        raise ValueError(
            f'the head has {old.shape[0]} anchors and inputs {list(old.shape[2:])}, '
            f'expected {new.shape[0]} and {list(new.shape[2:])}'
        )
    new[:, :others] = old[:, :others].to(new.dtype)
    for name in kept_classes(trained_names, fresh_names):
        new[:, others + fresh_names.index(name)] = old[:, others + trained_names.index(name)].to(new.dtype)
    return new.flatten(0, 1)


def kept_classes(trained_names: Sequence[str], fresh_names: Sequence[str]) -> list[str]:
    """The names whose weights stay: those that both have.

    With one class the loss ignores its logit, so it is not transferred: it starts so high that it could hardly be
    unlearned.
    """
    return [name for name in fresh_names if name in trained_names] if len(trained_names) > 1 else []
