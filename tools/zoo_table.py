"""Prints MODEL_CARD.md's tables: all named detectors by 80 classes, and the detectors with weights.

python tools/zoo_table.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import timm
from huggingface_hub import ModelCard

from mbv3zoo.info.describe import cost
from mbv3zoo.saving.folder import CARD_NAME
from mbv3zoo.zoo import registry as zoo

SIZES = (320, 640)
FIGURES = ('AP', 'AP50')


def main() -> None:
    print(*named_table(), '', *weights_table(), sep='\n')


def named_table() -> Iterator[str]:
    """Lines of the table of all named detectors: parameters and operations."""
    yield '| detector | backbone weights | parameters | ' + ' | '.join(f'GFLOPs at {size}' for size in SIZES) + ' |'
    yield '|---|---|---|' + '---|' * len(SIZES)
    for name in zoo.detector_names():
        config = zoo.find_config(name)
        assert config is not None, name
        costs = [cost(config, image_size=size) for size in SIZES]
        operations = ' | '.join(gflops(c.operations) for c in costs)
        yield f'| `{name}` | {weights(config.backbone)} | {millions(costs[0].parameters)} | {operations} |'


def weights_table(link: Callable[[str], str] = lambda name: '') -> Iterator[str]:
    """Lines of the table of detectors whose weights are in a folder: figures of their cards, and what they cost.

    Args:
        link: The name of a detector -> what stands in the last column.
    """
    yield f'| detector | {" | ".join(FIGURES)} | parameters | GFLOPs | on the Hub |'
    yield '|---|' + '---|' * (len(FIGURES) + 3)
    for name, folder in zoo.known_weights().items():
        if isinstance(folder, Path):
            parameters, operations = cost(folder)
            measured = card_figures(folder)
            columns = [f'{measured[key]:.3f}' if key in measured else '' for key in FIGURES]
            columns += [millions(parameters), gflops(operations), link(name)]
            yield f'| `{name}` | {" | ".join(columns)} |'


def card_figures(folder: Path) -> dict[str, float]:
    """The figures that a saved detector's card gives the Hub."""
    card = folder / CARD_NAME
    results = ModelCard.load(card).data.eval_results if card.is_file() else None
    return {result.metric_name or result.metric_type: result.metric_value for result in results or ()}


def weights(backbone: str) -> str:
    record = timm.get_pretrained_cfg(backbone)
    return f'`{record.hf_hub_id}`' if record and record.has_weights else 'none'


def millions(count: int) -> str:
    return f'{count / 1e6:.2f} M'


def gflops(operations: int) -> str:
    return f'{operations / 1e9:.2f}'


if __name__ == '__main__':
    main()
