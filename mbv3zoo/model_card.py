"""The model card that is saved beside a detector's weights."""

from __future__ import annotations

import math
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from mbv3zoo.config import DetectorConfig

# A Jinja template, as huggingface_hub's cards are.
_TEMPLATE = """---
{{ card_data }}
---

# {{ title }}

An object detector for {{ config.num_classes }} classes: {{ classes }}.

| | |
|---|---|
| backbone | `{{ config.backbone }}` (timm) |
| neck, head | PAN with C3 and SPPF, anchors; depth {{ config.depth_multiple }}, width {{ config.width_multiple }} |
| input | {{ config.image_size[0] }} x {{ config.image_size[1] }} pixels, letterboxed, in 0..1; normalised inside |
| parameters | {{ '%.2f' % (parameters / 1e6) }} M |
| data | {{ dataset or 'not recorded' }} |
{%- for name, value in figures.items() %}
| {{ name }} | {{ '%.3f' % value }} |
{%- endfor %}

## Use
```python
import mbv3zoo

detector = mbv3zoo.Detector.from_pretrained({{ source }})
detections = detector.predict('picture.jpg')
detections.draw().save('out.jpg')
```

Made with `{{ command }}`.
"""


def render_card(
    config: DetectorConfig,
    parameters: int,
    *,
    metrics: Any = None,
    name: str = '',
    dataset: str = '',
    license: str = 'apache-2.0',
    command: str = 'mbv3zoo.create_detector',
) -> str:
    """README.md with the Hub's metadata.

    Args:
        config: The detector's config.
        parameters: Number of parameters.
        metrics: `mbv3zoo.evaluation.Metrics`, where the detector was evaluated.
        name: Title, and the name in the example.
        dataset: What it was trained on.
        license: Licence of the weights, as the Hub spells it.
        command: What made it.
    """
    title = name or f'{config.backbone} detector'
    figures = {'AP': metrics.ap, 'AP50': metrics.ap50, 'AP75': metrics.ap75} if metrics else {}
    figures = {key: value for key, value in figures.items() if not math.isnan(value)}
    card_data = ModelCardData(
        license=license,
        library_name='mbv3zoo',
        pipeline_tag='object-detection',
        tags=['object-detection', 'mbv3zoo', 'timm'],
        model_name=title,
        eval_results=[
            EvalResult('object-detection', 'coco', dataset or 'custom', key, round(value, 4))
            for key, value in figures.items()
        ]
        or None,
    )
    shown = ', '.join(config.class_names[:30]) + (', ...' if config.num_classes > 30 else '')
    card = ModelCard.from_template(
        card_data,
        template_str=_TEMPLATE,
        title=title,
        config=config,
        classes=shown,
        parameters=parameters,
        dataset=dataset,
        figures=figures,
        source=repr(name or 'organisation/name'),
        command=command,
    )
    return str(card)
