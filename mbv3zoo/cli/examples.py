"""The examples that end each command's `--help`; the tests parse them with the command."""

from __future__ import annotations

# Name of the command -> lines of at most 78 characters.
EXAMPLES = {
    'mbv3zoo': """\
mbv3zoo predict mbv3_yolo_small.synth photo.jpg
mbv3zoo predict --help""",
    'list': """\
mbv3zoo list --pretrained
mbv3zoo list 'mobilenetv4*' --backbones""",
    'info': """\
mbv3zoo info mbv3_yolo_small""",
    'synth': """\
mbv3zoo synth scenes --train 200 --val 50""",
    'check': """\
mbv3zoo check data.yaml --image-size 320
mbv3zoo check data.yaml --html check.html""",
    'split': """\
mbv3zoo split photos/ divided --val 0.2 --test 0.1
mbv3zoo split result.json divided --group-by 'video_[0-9]+'""",
    'train': """\
mbv3zoo train --data data.yaml --preview batch.png
mbv3zoo train --data data.yaml --epochs 50 --image-size 320 --out runs/mine
mbv3zoo train --resume runs/mine""",
    'val': """\
mbv3zoo val runs/mine/best --data data.yaml
mbv3zoo val model.onnx --data data.yaml --split test""",
    'predict': """\
mbv3zoo predict mbv3_yolo_small.synth photo.jpg
mbv3zoo predict runs/mine/best pictures/ --score-thresh 0.4 --out found""",
    'export': """\
mbv3zoo export runs/mine/best model.onnx --image-size 320x640
mbv3zoo export runs/mine/best int8.xml --precision int8 --calibration photos/""",
    'demo': """\
mbv3zoo demo mbv3_yolo_small.synth page --open
mbv3zoo demo runs/mine/best page --title 'My parts' --overwrite
mbv3zoo demo runs/mine/best --gradio --open
mbv3zoo demo runs/mine/best space --gradio""",
    'benchmark': """\
mbv3zoo benchmark mbv3_yolo_small resnet18 --size 320 --size 640
mbv3zoo benchmark runs/mine/best --runtime eager --runtime onnxruntime""",
    'fit': """\
mbv3zoo fit runs/mine/best --ms 12 --data data.yaml --out fitted
mbv3zoo fit runs/mine/best --speedup 1.5 --speedup 2 --data data.yaml
mbv3zoo fit runs/mine/best --ms 8 --precision int8 --data data.yaml""",
    'convert': """\
mbv3zoo convert yolov5s.pt yolov5s --license agpl-3.0""",
    'push': """\
mbv3zoo push runs/mine/best organisation/name --dry-run""",
    'pull': """\
mbv3zoo pull organisation/name detector""",
}
