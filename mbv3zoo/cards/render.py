"""The model card that is saved beside a detector's weights. It says only what is known."""

from __future__ import annotations

import math
import re
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from mbv3zoo.cards.license import license_sentence
from mbv3zoo.cards.mark import mark_line
from mbv3zoo.cards.merge import BEGIN, CLASSES, END
from mbv3zoo.cards.sources import HEADING, base_models, datasets, is_hub_id, is_repo_name
from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.config.fit_record import FitRecord
from mbv3zoo.config.layer_rows import LayerRows
from mbv3zoo.config.license_record import LicenseRecord
from mbv3zoo.config.model import ModelConfig, Task
from mbv3zoo.config.tasks import KINDS, TRAIN_SETTINGS
from mbv3zoo.config.training import TrainConfig
from mbv3zoo.licenses import hub_license, license_rows, weights_license
from mbv3zoo.models.neck_table import NECKS
from mbv3zoo.saving.folder import PICTURE_NAME

# Field of Metrics -> (type in the card's metadata, shown name).
_FIGURES = {
    'ap': ('mAP', 'AP'),
    'ap50': ('mAP_50', 'AP50'),
    'ap75': ('mAP_75', 'AP75'),
    'ap_small': ('mAP_small', 'AP small'),
    'ap_medium': ('mAP_medium', 'AP medium'),
    'ap_large': ('mAP_large', 'AP large'),
    # Fields of SegmentationMetrics.
    'miou': ('mean_iou', 'mIoU'),
    'pixel_accuracy': ('pixel_accuracy', 'pixel accuracy'),
}
_PIPELINES: dict[Task, str] = {'detection': 'object-detection', 'segmentation': 'image-segmentation'}
# Training settings that are always shown; others are if they differ from their default.
_MAIN = ('epochs', 'batch_size', 'optimizer', 'lr', 'schedule', 'augmentation', 'loss', 'mixed_precision', 'seed')
# They change how fast training is, not its result.
_NOT_SHOWN = ('workers', 'threads', 'cache', 'eval_every', 'tracker')

# A Jinja template, as huggingface_hub's cards are. Text from outside comes through `_text` or `_cell`.
_TEMPLATE = """---
{{ card_data }}
---

{{ begin }}
# {{ title }}

{{ classes }}
{%- if picture %}

![predictions]({{ picture }})
{%- endif %}

| | |
|---|---|
| backbone | `{{ config.backbone }}` (timm) |
| neck, head | {{ neck }} |
| input | {{ config.image_size[0] }} x {{ config.image_size[1] }} pixels, letterboxed, in 0..1; normalised inside |
| parameters | {{ '%.2f' % (parameters / 1e6) }} M |
| data | {{ data }} |
{%- if fit %}
| fitted to | {{ fit }} |
{%- endif %}

## Use
```python
import mbv3zoo

{{ kind }} = mbv3zoo.{{ kind.title() }}.from_pretrained({{ source }})
{{ found }} = {{ kind }}.predict('picture.jpg')
{{ found }}.draw().save('out.jpg')
```
{% if stock %}
The backbone alone, with its weights as they were trained here, needs timm only:
```python
import timm

backbone = timm.create_model({{ timm_source }}, features_only=True, pretrained=True)
```
{% else %}
timm itself has no backbone of this architecture: `import mbv3zoo` registers it, and `timm.create_model` then knows it.
{% endif %}
{%- if figures %}
## Figures
{{ measure }} on {{ measured_on }}.

| metric | value |
|---|---|
{%- for _, shown, value in figures %}
| {{ shown }} | {{ '%.3f' % value }} |
{%- endfor %}
{% endif %}
{%- if train %}
## Training
| setting | value |
|---|---|
{%- for setting, value in train %}
| {{ setting }} | {{ value }} |
{%- endfor %}
{% endif %}
## Limits
{%- for limit in limits %}
- {{ limit }}
{%- endfor %}

{{ licenses }}

{{ license }}

Made with `{{ command }}`.
{%- if mark %}
{{ mark }}
{%- endif %}
{{ end }}
"""


def render_card(
    config: ModelConfig,
    parameters: int,
    *,
    metrics: Any = None,
    name: str = '',
    dataset: str = '',
    split: str = '',
    train: TrainConfig | None = None,
    picture: bool = False,
    stock: bool = True,
    license: str | None = None,
    command: str = '',
    mark: str = '',
) -> str:
    """README.md with the Hub's metadata.

    Args:
        config: The detector's config.
        parameters: Number of parameters.
        metrics: `mbv3zoo.evaluation.metrics.Metrics`, where the detector was evaluated.
        name: Title, and the name in the example.
        dataset: Dataset that it was trained and evaluated on: a name, or an id on the Hub ('organisation/name').
        split: Split of `dataset` that `metrics` were measured on.
        train: How it was trained.
        picture: Show `predictions.png`, to be saved beside the card.
        stock: Whether timm has the architecture of the backbone, so that it can load it from the repository.
        license: Licence id of the weights; None takes that of `config.licenses`.
        command: What made the detector; by default the function that creates one.
        mark: Which weights it is about (`mbv3zoo.cards.mark.detector_mark`).
    """
    kind, is_segmenter = KINDS[config.task], config.task == 'segmentation'
    title = _text(name) or f'{config.backbone} {kind}'
    license = license or weights_license(config.licenses)
    card_license, license_name = hub_license(license)
    figures = _figures(metrics)
    card_data = ModelCardData(
        license=card_license,
        license_name=license_name,
        library_name='mbv3zoo',
        pipeline_tag=_PIPELINES[config.task],
        tags=[_PIPELINES[config.task], 'mbv3zoo', 'timm'],
        base_model=base_models(config.licenses) or None,
        datasets=datasets(config.licenses, dataset) or None,
        # Of `model-index` only.
        model_name=title if figures else None,
        eval_results=[
            EvalResult(
                task_type=_PIPELINES[config.task],
                dataset_type=dataset if is_hub_id(dataset) else _slug(dataset),
                dataset_name=dataset or 'custom',
                dataset_split=split or None,
                metric_type=metric_type,
                metric_name=shown,
                metric_value=round(value, 5),
            )
            for metric_type, shown, value in figures
        ]
        or None,
    )
    measured_on = (_text(dataset) or 'data that is not recorded') + (f', split {_text(split)}' if split else '')
    card = ModelCard.from_template(
        card_data,
        template_str=_TEMPLATE,
        begin=BEGIN,
        end=END,
        title=title,
        config=config,
        kind=kind,
        found='segmentation' if is_segmenter else 'detections',
        measure='Mean intersection over union' if is_segmenter else 'COCO average precision',
        neck=_neck(config),
        classes=classes_line(config),
        picture=PICTURE_NAME if picture else '',
        parameters=parameters,
        data=_cell(dataset) or 'not recorded',
        fit=_cell(_fit(config.fit)) if config.fit else '',
        source=repr(name if is_repo_name(name) else 'organisation/name'),
        stock=stock,
        timm_source=repr(f'hf-hub:{name if is_hub_id(name) else "organisation/name"}'),
        figures=figures,
        measured_on=measured_on,
        train=_settings(train, config.task),
        limits=_limits(config, metrics, measured_on if figures else ''),
        licenses=license_table(config.licenses),
        license=license_sentence(_text(license)),
        command=_text(command or f'mbv3zoo.create_{kind}'),
        mark=mark_line(mark) if mark else '',
    )
    return str(card)


def classes_line(config: ModelConfig) -> str:
    """The sentence of a card that names the classes."""
    return (
        f'{CLASSES[config.task == "segmentation"]}{config.num_classes} classes: {_text(_some(config.class_names, 30))}.'
    )


def license_table(record: LicenseRecord) -> str:
    """The section of a card about what a detector was made from, without the licence of the whole."""
    rows = ['| ' + ' | '.join(map(_cell, row)) + ' |' for row in license_rows(record)]
    return '\n'.join([HEADING, '| part | licence | source |', '|---|---|---|', *rows])


def _figures(metrics: Any) -> list[tuple[str, str, float]]:
    """(type, shown name, value) of each figure that was measured."""
    if metrics is None:
        return []
    rows = [(kind, shown, getattr(metrics, field, math.nan)) for field, (kind, shown) in _FIGURES.items()]
    return [row for row in rows if not math.isnan(row[2])]


def _neck(config: ModelConfig) -> str:
    if not isinstance(config, DetectorConfig):
        strides = f'strides {getattr(config, "low_stride", 8)} and {getattr(config, "high_stride", 16)}'
        return f'LR-ASPP (Howard et al., arXiv 1905.02244, section 6.4) at {strides}'
    neck = 'rows of a YOLOv5 layer list' if isinstance(config.neck, LayerRows) else NECKS[config.neck].in_card
    head = '' if config.head == 'plain' else f'{config.head} head; '
    return f'{neck}; {head}anchors; depth {config.depth_multiple}, width {config.width_multiple}'


def _fit(record: FitRecord) -> str:
    height, width = record.image_size
    threads = '' if record.threads is None else f', {record.threads} threads'
    qualities = [
        f'{value:.3f} {when}'
        for value, when in (
            (record.quality_before, 'before'),
            (record.quality_narrowed, 'when it was made narrower'),
            (record.quality_after, 'trained'),
        )
        if value is not None
    ]
    return (
        f'{record.budget_ms:.3g} ms at {height} x {width} in {record.runtime}, {record.precision}{threads}, on '
        f'{record.machine}: measured {record.measured_ms:.2f} ms, before it was fitted {record.before_ms:.2f} ms; '
        f'{record.measure} {", ".join(qualities)}'
    )


def _settings(train: TrainConfig | None, task: Task) -> list[tuple[str, str]]:
    if train is None:
        return []
    # What follows from the named presets is not repeated.
    defaults = TrainConfig(optimizer=train.optimizer, loss=train.loss, augmentation=train.augmentation)
    changed = [field for field, value in train if value != getattr(defaults, field)]
    others = set().union(*(names for other, names in TRAIN_SETTINGS.items() if other != task))
    shown = [*_MAIN, *(field for field in changed if field not in (*_MAIN, *_NOT_SHOWN))]
    return [(field, _cell(getattr(train, field))) for field in shown if field not in others]


def _limits(config: ModelConfig, metrics: Any, measured_on: str) -> list[str]:
    height, width = config.image_size
    limits = [
        f'It finds objects of its {config.num_classes} classes only, and is blind to everything else.'
        if config.task == 'detection'
        else f'It gives each pixel one of its {config.num_classes} classes, also where there is something else.',
        f'It was made for pictures of {height} x {width} pixels; larger ones are scaled down to that, so objects that '
        'are small in them may be lost.',
    ]
    if not measured_on:
        return [*limits, 'It was not evaluated, as far as is recorded: how well it finds anything is not known.']
    objects = f', {metrics.objects} objects' if config.task == 'detection' else ''
    limits.append(
        f'It was measured on {measured_on} only ({metrics.images} pictures{objects}): other cameras, '
        'places and light may give other figures.'
    )
    sizes = [size for size in ('small', 'medium', 'large') if math.isnan(getattr(metrics, f'ap_{size}', 0))]
    if sizes:
        limits.append(f'Not measured, as there were none: {", ".join(sizes)} objects.')
    known = {name: ap for name, ap in metrics.per_class.items() if not math.isnan(ap)}
    if unknown := [name for name in metrics.per_class if name not in known]:
        limits.append(f'Not measured, as there were no such objects: {_text(_some(unknown, 10))}.')
    if len(known) > 1:
        worst = min(known, key=known.__getitem__)
        figure = 'an AP' if config.task == 'detection' else 'an IoU'
        limits.append(f'The weakest class is {_text(worst)}, with {figure} of {known[worst]:.2f}.')
    return limits


def _slug(name: str) -> str:
    return re.sub(r'[^a-z0-9._-]+', '-', name.lower()).strip('-') or 'custom'


def _some(names: Any, number: int) -> str:
    return ', '.join(names[:number]) + (', ...' if len(names) > number else '')


def _text(value: Any) -> str:
    """One line of Markdown that cannot be mistaken for the comments around the library's part."""
    return ' '.join(str(value).split()).replace('<', '&lt;')


def _cell(value: Any) -> str:
    return _text(value).replace('|', '\\|')
