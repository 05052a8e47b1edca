"""Trains, fuses, saves and exports a detector on one model of each family; writes docs/backbones_checked.md.

python tools/backbone_checks.py

Takes the smallest model of each family, with weights drawn at random. `pytest -m slow` does the same.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import timm
import torch
from timm.models import FeatureInfo

from mbv3zoo import Detector, create_detector
from mbv3zoo.info.backbones import BackboneRow, backbone_rows
from mbv3zoo.models.levels import resize
from mbv3zoo.models.timm_model import default_image_size, seen_size
from mbv3zoo.models.timm_repository import stock_architecture

PAGE = Path(__file__).parent.parent / 'docs' / 'backbones_checked.md'
INTRODUCTION = """# Backbones, checked

One model of each of the families that timm and mbv3zoo register, composed into a detector and used.

Made by `python tools/backbone_checks.py`: the smallest of each family, with random weights, on the CPU.

- **train**: forward and backward; every trainable parameter has a finite gradient.
- **fuse**: after `fuse()` no BatchNorm is left and the logits are the same.
- **save**: `save_pretrained` and `from_pretrained` give the same logits, bit for bit.
- **timm**: timm alone loads the backbone from what `save_pretrained` wrote, and gives the same maps, bit for bit.
  (The families cspdarknet, layer_backbone and narrowed need `import mbv3zoo`, which registers them.)
- **export**: `torch.export.export` gives a program with the same logits.

"""


def smallest_of_families() -> list[BackboneRow]:
    """The model with the fewest parameters of each family."""
    rows = sorted(backbone_rows(), key=lambda row: (row.family, float(row.parameters)))
    return [next(models) for _, models in groupby(rows, key=lambda row: row.family)]


def small_size(row: BackboneRow) -> tuple[int, int]:
    """A size to check a model at: 128 x 128, or where its sizes are limited its own, at most 256 x 256 if it can."""
    height, width = map(int, row.image_size.split(' x '))
    if (height, width) == (640, 640):
        return 128, 128
    return (min(height, 256), min(width, 256)) if row.sizes == 'any' else (height, width)


def build(row: BackboneRow, **settings: Any) -> tuple[Detector, torch.Tensor]:
    """A detector of two classes, and a batch of two images for it; `settings` are those of `create_detector`."""
    torch.manual_seed(0)
    size = small_size(row)
    return create_detector(row.name, num_classes=2, image_size=size, **settings), torch.rand(2, 3, *size)


def check_train(detector: Detector, images: torch.Tensor) -> None:
    """Gradients reach every trainable parameter."""
    sum(logits.square().mean() for logits in detector.train()(images)).backward()
    gradients = {name: p.grad for name, p in detector.named_parameters() if p.requires_grad}
    lost = [name for name, gradient in gradients.items() if gradient is None]
    assert not lost, f'no gradient for {lost[:5]}'
    broken = [name for name, gradient in gradients.items() if gradient is not None and not gradient.isfinite().all()]
    assert not broken, f'gradient not finite for {broken[:5]}'
    detector.zero_grad()


@torch.no_grad()
def check_fuse(detector: Detector, images: torch.Tensor) -> None:
    """The same logits without BatchNorm. Changes the detector: comes last."""
    expected = detector.eval()(images)
    detector.fuse()
    assert not any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in detector.modules())
    assert_close(detector(images), expected)


@torch.no_grad()
def check_save(detector: Detector, images: torch.Tensor) -> None:
    """The same logits after saving and loading."""
    with tempfile.TemporaryDirectory() as folder:
        loaded = Detector.from_pretrained(detector.save_pretrained(folder))
    torch.testing.assert_close(loaded(images), detector.eval()(images), rtol=0, atol=0)


@torch.no_grad()
def check_timm(detector: Detector, images: torch.Tensor) -> None:
    """timm loads the backbone from what was saved, and it gives the same maps."""
    backbone = detector.eval().backbone
    height, width = images.shape[2:]
    seen = resize(images, seen_size((height, width), backbone.unit))
    indices = cast(FeatureInfo, backbone.model.feature_info).out_indices
    with tempfile.TemporaryDirectory() as folder:
        detector.save_pretrained(folder)
        name = json.loads((Path(folder) / 'config.json').read_text())['architecture']
        ours = timm.models.model_entrypoint(name).__module__.startswith('mbv3zoo.')
        assert ours or stock_architecture(name), f'timm has no {name}'
        source = f'local-dir:{folder}'
        stock = timm.create_model(source, features_only=True, pretrained=True, out_indices=indices).eval()
    for given, expected in zip(stock(seen), backbone.model(seen), strict=True):
        # Gemma's maps are taken as sequences.
        expected = expected.transpose(1, 2).reshape_as(given) if expected.dim() == 3 else expected
        torch.testing.assert_close(given, expected, rtol=0, atol=0)


@torch.no_grad()
def check_export(detector: Detector, images: torch.Tensor) -> None:
    """The same logits from an exported program."""
    program = torch.export.export(detector.eval(), (images,))
    assert_close(program.module()(images), detector(images))


def assert_close(given: list[torch.Tensor], expected: list[torch.Tensor]) -> None:
    """Equal but for rounding. Weights drawn at random make the logits of some models huge."""
    for level, reference in zip(given, expected, strict=True):
        torch.testing.assert_close(level, reference, rtol=0, atol=1e-4 * reference.abs().max().item())


# In this order: fusing changes the detector.
CHECKS: dict[str, Callable[[Detector, torch.Tensor], None]] = {
    'train': check_train,
    'save': check_save,
    'timm': check_timm,
    'export': check_export,
    'fuse': check_fuse,
}


def composed(name: str) -> str | None:
    """What is wrong with a detector on this model, on the meta device; None where nothing is."""
    try:
        size = default_image_size(name)
        detector = create_detector(name, num_classes=3, device='meta').train()
        assert detector.config.image_size == size
        height, width = size
        logits = detector(torch.empty(2, 3, height, width, device='meta'))
        shapes = [tuple(level.shape) for level in logits]
        assert shapes == [(2, 3, height // s, width // s, 8) for s in (8, 16, 32)], shapes
        sum(level.sum() for level in logits).backward()
        dead = [n for n, p in detector.named_parameters() if p.grad is None]
        assert not dead, f'no gradient for {dead[:5]}'
    except Exception as error:
        return f'{name}: {error!r}'
    return None


def main() -> None:
    lines = [f'| family | model | size | {" | ".join(CHECKS)} |', '|---' * (3 + len(CHECKS)) + '|']
    failed = 0
    for row in smallest_of_families():
        detector, images = build(row)
        results = []
        for check in CHECKS.values():
            try:
                check(detector, images)
                results.append('yes')
            except Exception as error:  # the table says what is impossible and why
                results.append(f'no: {str(error).splitlines()[0][:200]}'.replace('|', '/'))
                failed += 1
        size = '{} x {}'.format(*small_size(row))
        lines.append(f'| {row.family} | {row.name} | {size} | {" | ".join(results)} |')
        print(lines[-1], file=sys.stderr, flush=True)
    PAGE.write_text(INTRODUCTION + '\n'.join(lines) + '\n', encoding='utf-8')
    print(f'{len(lines) - 2} families, {failed} failed checks')


if __name__ == '__main__':
    main()
