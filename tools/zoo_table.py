"""Prints MODEL_CARD.md's table of all named detectors: parameters and operations, by 80 classes.

python tools/zoo_table.py
"""

from __future__ import annotations

import mbv3zoo
from mbv3zoo.config_loader import load_config, named_configs
from mbv3zoo.info import cost

SIZES = (320, 640)


def main() -> None:
    print('| detector | backbone weights | parameters | ' + ' | '.join(f'GFLOPs at {size}' for size in SIZES) + ' |')
    print('|---|---|---|' + '---|' * len(SIZES))
    for name in mbv3zoo.list_detectors():
        config = load_config(named_configs()[name])
        costs = [cost(config, image_size=size) for size in SIZES]
        operations = ' | '.join(f'{c.operations / 1e9:.2f}' for c in costs)
        print(f'| `{name}` | {weights(config.backbone)} | {costs[0].parameters / 1e6:.2f} M | {operations} |')


def weights(backbone: str) -> str:
    import timm

    record = timm.get_pretrained_cfg(backbone)
    return f'`{record.hf_hub_id}`' if record and record.has_weights else 'none'


if __name__ == '__main__':
    main()
