"""Each default threshold is written once, and read from there everywhere."""

import ast
import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import mbv3zoo
from mbv3zoo.cli.main import app
from mbv3zoo.evaluation.f1 import as_predicted
from mbv3zoo.export.export import export
from mbv3zoo.models.postprocess import arrays, tensors
from mbv3zoo.models.postprocess.thresholds import COCO_EVALUATION, PREDICTION, ThresholdOptions, Thresholds
from mbv3zoo.plots.confusion import confusion_matrix

NAMES = {'score_thresh', 'iou_thresh', 'max_detections', 'max_candidates'}
HOME = 'models/postprocess/thresholds.py'


def literals(path):
    """Numbers that a file gives to a threshold: as a default, an assignment, a keyword or a value in a dict."""
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        pairs = []
        if isinstance(node, ast.FunctionDef):
            args = node.args
            pairs += zip([*args.posonlyargs, *args.args][::-1], args.defaults[::-1], strict=False)
            pairs += zip(args.kwonlyargs, args.kw_defaults, strict=True)
            pairs = [(argument.arg, value) for argument, value in pairs]
        elif isinstance(node, ast.AnnAssign):
            pairs = [(getattr(node.target, 'id', ''), node.value)]
        elif isinstance(node, ast.Assign):
            pairs = [(getattr(target, 'id', ''), node.value) for target in node.targets]
        elif isinstance(node, ast.Call):
            pairs = [(keyword.arg, keyword.value) for keyword in node.keywords]
        elif isinstance(node, ast.Dict):
            pairs = [(getattr(key, 'value', None), value) for key, value in zip(node.keys, node.values, strict=True)]
        for name, value in pairs:
            number = isinstance(value, ast.Constant) and type(value.value) in (int, float)
            if number and str(name).lower() in NAMES:
                yield f'{name} = {value.value}'


def test_defaults_are_written_once_in_the_package():
    package = Path(mbv3zoo.__file__).parent
    found = {path.relative_to(package).as_posix(): [*literals(path)] for path in package.rglob('*.py')}
    home = found.pop(HOME)
    assert sorted(home) == [
        'iou_thresh = 0.45', 'iou_thresh = 0.6', 'max_candidates = 30000', 'max_detections = 100',
        'max_detections = 300', 'score_thresh = 0.001', 'score_thresh = 0.25',
    ]  # fmt: skip
    # How far a detection has to overlap with an object that it takes in a confusion matrix: not a threshold of NMS.
    # The second is no default: nothing is suppressed.
    assert {name: lines for name, lines in found.items() if lines} == {
        'plots/confusion.py': ['IOU_THRESH = 0.5'], 'export/certify.py': ['iou_thresh = 1.0'],
    }  # fmt: skip


def test_what_the_check_looks_for(tmp_path):
    path = tmp_path / 'a.py'
    path.write_text(
        'IOU_THRESH = 1\niou_thresh: float = 2\ndef f(score_thresh=3, *, max_detections=4, other=5): g(iou_thresh=6)\n'
        "x = {'max_candidates': 7, 'other': 8}\ny = dict(score_thresh=z)\nscore_thresh: float | None = None\n"
    )
    assert sorted(line[-1] for line in literals(path)) == ['1', '2', '3', '4', '6', '7']


def test_everyone_reads_them_from_there():
    assert Thresholds() == PREDICTION and COCO_EVALUATION.multi_label
    for function in (export, as_predicted, confusion_matrix):
        given = {name: p.default for name, p in inspect.signature(function).parameters.items() if name in NAMES}
        # A confusion matrix has an IoU of its own: how far a detection overlaps with the object it takes.
        given = {name: value for name, value in given.items() if (function, name) != (confusion_matrix, 'iou_thresh')}
        assert given and given == {name: getattr(PREDICTION, name) for name in given}
    for postprocess in (arrays.postprocess, tensors.postprocess):
        assert inspect.signature(postprocess).parameters['thresholds'].default is PREDICTION
    shown = CliRunner().invoke(app, ['predict', '--help'], terminal_width=200).output
    assert f'[default: {PREDICTION.score_thresh}]' in shown and f'[default: {PREDICTION.iou_thresh}]' in shown


def test_options_are_what_differs():
    assert PREDICTION.options() == {}
    assert COCO_EVALUATION.options() == {
        'score_thresh': 0.001, 'iou_thresh': 0.6, 'max_detections': 100, 'multi_label': True,
    }  # fmt: skip
    assert Thresholds(**COCO_EVALUATION.options()) == COCO_EVALUATION
    assert {*ThresholdOptions.__annotations__} == {*Thresholds.__dataclass_fields__}


@pytest.mark.parametrize(
    'wrong',
    [
        {'score_thresh': -0.1},
        {'score_thresh': float('nan')},
        {'iou_thresh': 1.1},
        {'max_detections': 0},
        {'max_candidates': -1},
        *({'score_thresh': value} for value in (25, float('inf'), '0.3', '', None, True, [0.3])),
        *({'iou_thresh': value} for value in (3, float('nan'), '0.5', None, False)),
        *({'max_detections': value} for value in (2.5, '300', True, None, 2**31, float('nan'))),
    ],
)
def test_out_of_range(wrong):
    with pytest.raises(ValueError, match=f'{next(iter(wrong))} is .*; expected'):
        Thresholds(**wrong)


def test_numbers_of_other_libraries_are_taken():
    taken = Thresholds(np.float32(0.5), torch.tensor(0.25), np.int64(7))
    assert taken == Thresholds(0.5, 0.25, 7) and all(
        type(x) in (float, int) for x in (taken.score_thresh, taken.max_detections)
    )


# Classes


def test_wanted_classes_leave_room_for_nobody_else():
    """Other classes neither take the place of a wanted one nor suppress it."""
    logits = torch.full((1, 1, 1, 40, 8), -20.0)
    logits[..., :4], logits[..., 4] = 0, 8
    for cell in range(40):
        # Every second box is a cat's and scored lower; dogs lie over them.
        logits[0, 0, 0, cell, 5 + cell % 2] = 3 - cell % 2
    anchors = torch.tensor([[[8.0, 8]]])
    for thresholds, count in (
        (Thresholds(max_detections=5), 5),
        (Thresholds(max_detections=5, classes=(1,)), 5),
        (Thresholds(class_agnostic=True, classes=(1,)), 20),
        (Thresholds(classes=(2,)), 0),
        (Thresholds(classes=(1, 0)), 40),
        (Thresholds(multi_label=True, score_thresh=0, max_candidates=7, classes=(2,)), 7),
    ):
        (kept,) = tensors.postprocess([logits], anchors, [8], thresholds)
        (array,) = arrays.postprocess([logits.permute(0, 1, 4, 2, 3)[:, 0].numpy()], anchors.tolist(), [8], thresholds)
        wanted = (0, 1, 2) if thresholds.classes is None else thresholds.classes
        assert len(kept.scores) == len(array.scores) == count
        assert set(kept.labels.tolist()) | set(array.labels.tolist()) <= set(wanted)
