"""The commands of docs/first_days.md, and the sentences around them."""

from __future__ import annotations

from typing import NamedTuple

INTRODUCTION = """# Three first days

What three people type on their first day, and what they see. `python tools/first_days.py` runs every command below and
writes this page; `--check` fails where an output changed in kind. The pictures were drawn by `mbv3zoo synth`, and the
trainings are short: a minute each on two cores."""


class Step(NamedTuple):
    """A sentence, and the commands after it."""

    text: str
    commands: tuple[str, ...]


class Day(NamedTuple):
    """One person's commands.

    Attributes:
        title: Heading on the page.
        introduction: Who it is.
        brings: What `tests/helpers/first_day_files.py` makes for them; '' for nothing.
        steps: What they do.
    """

    title: str
    introduction: str
    brings: str
    steps: tuple[Step, ...]


OWN_PHOTOS = Day(
    'Own photos, labelled in labelImg',
    'Ann has 160 photos in one folder, and has drawn boxes in labelImg, which left a `.txt` beside each photo and a '
    '`classes.txt`. She wants to know where the mugs, pens and keys are in new photos.',
    'labelimg',
    (
        Step('This is what labelImg leaves.', ('ls photos | tail -5', 'cat photos/classes.txt photos/IMG_0000.txt')),
        Step(
            'Are the boxes where they should be? `--val-share` sets some photos aside, as labelImg knows no splits.',
            ('mbv3zoo train --data photos --val-share 0.2 --image-size 320 --preview batch.png',),
        ),
        Step(
            'Training starts from a detector that knows other objects, and so at a lower learning rate than usual, '
            'which keeps what it has learned.',
            (
                'mbv3zoo train --data photos --val-share 0.2 --model mbv3_yolo_small.synth --image-size 320 --epochs 5',
                'ls runs/train-1',
            ),
        ),
        Step(
            'How good is it on the photos that were set aside? The run remembers which they are.',
            ('mbv3zoo val runs/train-1 --data photos',),
        ),
        Step(
            'New photos: pictures with boxes, and a label file for each, to open in any file browser.',
            (
                'mbv3zoo predict runs/train-1 new_photos --score-thresh 0.3 --save-txt',
                'ls runs/predict-1',
            ),
        ),
        Step(
            'The same without PyTorch, from one file.',
            (
                'mbv3zoo export runs/train-1 detector.onnx',
                'mbv3zoo info detector.onnx',
                'mbv3zoo predict detector.onnx new_photos --score-thresh 0.3',
            ),
        ),
    ),
)

YOLOV5 = Day(
    'Moving from YOLOv5',
    'Ben has a data set with its `data.yaml`, and a `best.pt` that YOLOv5 trained on it.',
    'yolov5',
    (
        Step(
            'He types what he is used to.',
            ('mbv3zoo val --weights best.pt --data office/data.yaml --img 160 || true', 'mbv3zoo detect || true'),
        ),
        Step(
            'The checkpoint becomes a folder with safetensors and the same numbers; nothing in it is run.',
            ('mbv3zoo convert best.pt office_n', 'ls office_n'),
        ),
        Step('The data set stays as it is.', ('mbv3zoo val office_n --data office/data.yaml --image-size 160',)),
        Step(
            'He trains it further, and compares.',
            (
                'mbv3zoo train --data office/data.yaml --model office_n --image-size 160 --epochs 4',
                'mbv3zoo val runs/train-1 --data office/data.yaml --image-size 160',
            ),
        ),
        Step('His YAML files work too.', ('mbv3zoo info yolov5n.yaml',)),
        Step(
            'Faster on this machine:',
            (
                'mbv3zoo export runs/train-1 office.xml',
                'mbv3zoo benchmark runs/train-1 --runtime eager --runtime openvino --size 160',
            ),
        ),
    ),
)

TIMM = Day(
    'Swapping backbones with timm',
    'Cleo knows timm, and wants a detector on another backbone.',
    'timm',
    (
        Step(
            'Which backbones are there, and what do they cost?',
            ("mbv3zoo list --backbones 'mobilenetv4_conv_s*'", 'mbv3zoo info mobilenetv4_conv_small'),
        ),
        Step(
            'Two backbones, the same data. (With the network, `--pretrained` takes the weights that timm has.)',
            (
                'mbv3zoo train --data office --model mobilenetv4_conv_small_050 --image-size 160 --epochs 2',
                'mbv3zoo train --data office --model mbv3_yolo_small --image-size 160 --epochs 2',
            ),
        ),
        Step('How fast are they?', ('mbv3zoo benchmark mobilenetv4_conv_small_050 mbv3_yolo_small --size 160',)),
        Step(
            'The trained backbone goes back to timm, which needs no mbv3zoo for it.',
            (
                'cat to_timm.py',
                'python to_timm.py',
            ),
        ),
    ),
)

DAYS = (OWN_PHOTOS, YOLOV5, TIMM)
