"""Puts the best weights of a training run into the package, in half precision.

    python tools/ship_weights.py runs/train-1 mbv3_yolo_small.synth --data synth

The stored weights are loaded again and evaluated, so that the figures in their card are those of what ships.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from pathlib import Path

import torch
from PIL import Image

from mbv3zoo.config.license_record import LicensedPart
from mbv3zoo.config.training import RunConfig
from mbv3zoo.create import create_model
from mbv3zoo.data.load import load_dataset
from mbv3zoo.evaluation.run import run_evaluation
from mbv3zoo.model import Model
from mbv3zoo.plots.report import write_plots
from mbv3zoo.saving import folder as saved_folder
from mbv3zoo.utils.folders import check_new_folder
from mbv3zoo.utils.yaml import read_mapping


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('run', type=Path, help='folder of the training run')
    parser.add_argument('name', help='name.tag of the detector or segmenter')
    parser.add_argument('--data', required=True, help='data set with the val split to be scored on')
    parser.add_argument('--dataset', default='mbv3zoo synth (default settings)', help='what the card calls the data')
    parser.add_argument('--data-license', default='apache-2.0', help='licence of the data')
    parser.add_argument('--command', default='mbv3zoo train', help='the command that made the weights')
    parser.add_argument('--image-size', type=int, help='side of the input, where it is to differ from the training')
    parser.add_argument(
        '--no-picture', action='store_true', help='leave the picture of predictions out, for small packages'
    )
    args = parser.parse_args()

    folder = Path(__file__).parent.parent / 'mbv3zoo' / 'weights' / args.name
    check_new_folder(folder)
    size = {'image_size': args.image_size} if args.image_size else {}
    detector = create_model(args.run / 'best', pretrained=True, **size)
    data = load_dataset(args.data, 'val', task=detector.config.task)
    with tempfile.TemporaryDirectory() as half:
        detector.save_pretrained(half, dtype=torch.float16)
        evaluation = run_evaluation(Model.from_pretrained(half).fuse(), data)
        write_plots(evaluation, data, half)
        picture = _small(Path(half) / saved_folder.PICTURE_NAME)
    part = LicensedPart(license=args.data_license, source=args.dataset)
    licenses = detector.config.licenses.model_copy(update={'data': (part,)})
    detector.config = detector.config.model_copy(update={'licenses': licenses})
    card_data = {'metrics': evaluation.metrics, 'name': args.name, 'dataset': args.dataset, 'split': 'val'}
    card_data |= {'train': RunConfig.parse(read_mapping(args.run / 'run.yaml')).train, 'command': args.command}
    detector.save_pretrained(
        folder, dtype=torch.float16, card_data=card_data, picture=None if args.no_picture else picture
    )
    print(json.dumps(evaluation.metrics.to_dict(), indent=2))


def _small(picture: Path) -> bytes:
    """A PNG in 256 colours, a third of the size: wheels hold few megabytes."""
    stored = io.BytesIO()
    with Image.open(picture) as opened:
        opened.convert('RGB').quantize(256).save(stored, 'png', optimize=True)
    return stored.getvalue()


if __name__ == '__main__':
    main()
