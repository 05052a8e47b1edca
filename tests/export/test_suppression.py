"""NMS inside of graphs against plain Python: any number of classes and images, in every form that has it."""

import subprocess
import sys
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from exported_files import needs
from slow_nms import slow_nms
from tiny_backbone import registered, tiny_detector
from torch import nn
from torch.export import Dim

import mbv3zoo
from mbv3zoo.export.suppression import OPERATOR, keep, non_max_suppression
from mbv3zoo.runtimes.session import open_session
from mbv3zoo.runtimes.table import FORMATS

FORMS = [name for name, row in FORMATS.items() if row.nms]
SCORE, IOU, MOST = 0.3, 0.4512, 40


class Suppression(nn.Module):
    """Rows [B, 1, N, 6] (box, score, label) -> what is kept of them; as the writers of graphs take it."""

    info = SimpleNamespace(model_dump_json=lambda: '{}', precision='float32')

    def forward(self, rows):
        rows = rows[:, 0]
        return keep(rows[..., :4], rows[..., 4], rows[..., 5].long(), SCORE, IOU, MOST)

    def example(self):
        return scenes([0, 1], 30).unsqueeze(1)

    def dynamic_shapes(self):
        return ({0: Dim.DYNAMIC, 2: Dim.DYNAMIC},)

    def input_names(self):
        return ['images']

    def output_names(self):
        return ['detections']


def scenes(labels, number=120, low=0):
    """Of each image, boxes on whole pixels in one place, under each of some labels: [2, number * labels, 6]."""
    generator = torch.Generator().manual_seed(0)
    corner = torch.randint(low, low + 90, (2, number, 2), generator=generator)
    sides = torch.randint(20, 60, (2, number, 2), generator=generator)
    scores = torch.stack([torch.randperm(number, generator=generator) + 0.5 for _ in range(2)]) / number
    rows = torch.cat([corner, corner + sides, scores.unsqueeze(2)], 2).repeat_interleave(len(labels), 1)
    own = torch.tensor(labels).repeat(2, number).unsqueeze(2)
    # None is as good as another.
    rows[..., 4] -= torch.arange(len(labels)).repeat(number) * 1e-4
    return torch.cat([rows, own], 2).float()


def expected(rows):
    """The rows of each image that stay, as in the graph's output."""
    kept = []
    for image, own in enumerate(rows):
        names, labels = own[:, 5].unique(return_inverse=True)
        scores = torch.zeros(len(own), len(names)).scatter(1, labels.unsqueeze(1), own[:, 4:5])
        for box, score, label in slow_nms(own[:, :4], scores, SCORE, IOU, MOST):
            kept.append([image, *box, score, names[label].item()])
    return kept


CASES = {
    'one class': scenes([0]),
    'the last class': scenes([65535]),
    'two far apart': scenes([0, 7999], 60),
    'four': scenes([0, 1, 1202, 65535], 60),
    'each box another': torch.cat([scenes([0])[..., :5], torch.arange(240).view(2, 120, 1) * 273.0], 2),
    'below zero': scenes([3, 8000], low=-4000),
    'far away': scenes([3, 8000], low=30_000),
    'equal scores': scenes([7, 7999], 60) * torch.tensor([1, 1, 1, 1, 0, 1]) + torch.tensor([0, 0, 0, 0, 0.5, 0]),
    'one box': scenes([65535], 1),
    'none above the threshold': scenes([5]) * torch.tensor([1, 1, 1, 1, 0.1, 1]),
    'only in the last image': scenes([5]) * torch.tensor([0.1, 1]).view(2, 1, 1),
    'no boxes': torch.zeros(2, 0, 6),
    'no images': torch.zeros(0, 3, 6),
}


@pytest.mark.parametrize('case', CASES)
def test_against_plain_loops(case):
    rows = CASES[case]
    kept = keep(rows[..., :4], rows[..., 4], rows[..., 5].long(), SCORE, IOU, MOST)
    assert kept.tolist() == expected(rows)
    assert kept.shape[1] == 7


def test_the_operator_is_the_function():
    boxes = scenes([0])[..., :4]
    scores = torch.rand(2, 5, 120, generator=torch.Generator().manual_seed(1)) - 0.3
    kept = non_max_suppression(boxes, scores, IOU, MOST)
    assert len(kept) > 50 and torch.equal(OPERATOR(boxes, scores, IOU, MOST), kept)


def test_of_equal_scores_the_earlier_cell_is_the_first():
    boxes = torch.arange(60).view(1, 60, 1) * 100.0 + torch.tensor([0.0, 0, 9, 9])
    labels = torch.arange(60).flip(0).unsqueeze(0) * 900
    kept = keep(boxes, torch.full((1, 60), 0.5), labels, SCORE, IOU, MOST)
    assert kept[:, 6].long().tolist() == labels[0, :MOST].tolist()


def test_many_images_are_each_in_the_order_of_their_scores():
    scores = 0.5 + torch.rand(300, 8, generator=torch.Generator().manual_seed(2)) * 1e-4
    boxes = torch.arange(8).view(1, 8, 1) * 100.0 + torch.tensor([0.0, 0, 9, 9]).expand(300, 1, 4)
    kept = keep(boxes, scores, torch.full((300, 8), 65535), SCORE, IOU, 3)
    assert kept[:, 0].tolist() == [image for image in range(300) for _ in range(3)]
    assert torch.equal(kept[:, 5].view(300, 3), scores.sort(descending=True).values[:, :3])


@pytest.fixture(scope='module')
def sessions(tmp_path_factory):
    """Format -> the suppression alone, open in its runtime."""
    folder, opened = tmp_path_factory.mktemp('suppression'), {}

    def get(name):
        needs(name)
        if name not in opened:
            path = folder / f'model{FORMATS[name].suffix}'
            import_module(f'mbv3zoo.export.{name}').write(Suppression().eval(), path)
            opened[name] = open_session(path)
        return opened[name]

    return get


@pytest.mark.parametrize('case', [case for case in CASES if case != 'no images'])
@pytest.mark.parametrize(
    'name', [pytest.param(name, marks=[pytest.mark.slow] * (name in ('openvino', 'torch_export'))) for name in FORMS]
)
def test_in_every_form(name, case, sessions):
    rows = CASES[case]
    (kept,) = sessions(name)(rows.unsqueeze(1).numpy())
    np.testing.assert_array_equal(kept.reshape(-1, 7), np.array(expected(rows), np.float32).reshape(-1, 7))


@pytest.mark.parametrize('name', ['torchscript', pytest.param('torch_export', marks=pytest.mark.slow)])
def test_torch_opens_it_where_nothing_has_imported_torchvision(name, tmp_path):
    path = tmp_path / f'model{FORMATS[name].suffix}'
    import_module(f'mbv3zoo.export.{name}').write(Suppression().eval(), path)
    code = f'from mbv3zoo.runtimes.session import open_session; open_session({str(path)!r})'
    subprocess.run([sys.executable, '-c', code], check=True)


@pytest.fixture(scope='module')
def thousands():
    """A detector with 8000 classes, of which it finds objects of the first, some between, and the last."""
    with registered():
        detector = tiny_detector(class_names=[f'class {label}' for label in range(8000)])
        with torch.no_grad():
            for conv in detector.head.convs:
                biases = conv.bias.view(-1, 8005)
                biases[:, 5:] = -9
                for label in (0, 1, 4000, 7998, 7999):
                    biases[:, 5 + label] = 2
        yield detector


@pytest.mark.parametrize(
    'name',
    ['onnx', *(pytest.param(name, marks=pytest.mark.slow) for name in ('openvino', 'torchscript', 'torch_export'))],
)
def test_a_detector_with_8000_classes_in_every_form(thousands, name, tmp_path):
    needs(name)
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    wanted = thousands.predict(image)
    path = thousands.export(tmp_path / f'model{FORMATS[name].suffix}', nms=True, pictures=[image])
    found = mbv3zoo.load(path).predict(image)
    assert len(wanted) > 20 and len({*wanted.labels.tolist()} & {0, 7999}) == 2
    assert found.labels.tolist() == wanted.labels.tolist()
    assert np.allclose(found.boxes, wanted.boxes, atol=0.01) and np.allclose(found.scores, wanted.scores, atol=1e-4)
