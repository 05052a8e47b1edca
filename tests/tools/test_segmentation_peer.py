"""The program that trains torchvision's LR-ASPP for the comparison."""

import json
import sys

import numpy as np
import pytest
import segmentation_peer as peer
import torch
from PIL import Image


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Four pictures and one to validate on, of which the left half is class 0 and the right one class 1."""
    folder = tmp_path_factory.mktemp('masks')
    pixels = np.zeros((32, 40), np.uint8)
    pixels[:, 20:] = 1
    pixels[0, 0] = peer.IGNORED
    for split, count in (('train', 4), ('val', 1)):
        for kind in ('images', 'masks'):
            (folder / kind / split).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(pixels).save(folder / 'masks' / split / f'{number}.png')
            Image.fromarray(np.stack([100 * (pixels == 1)] * 3, -1).astype(np.uint8)).save(
                folder / 'images' / split / f'{number}.jpg'
            )
    (folder / 'masks' / 'classes.txt').write_text('left\nright\n')
    return folder


def train(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, 'argv', ['segmentation_peer.py', *map(str, arguments), '--image-size', '32'])
    peer.main()
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_run_that_was_stopped_ends_as_one_that_was_not(data, tmp_path, monkeypatch, capsys):
    settings = (data, tmp_path / 'peer.pt', '--batch-size', 2, '--epochs', 2)
    keep, kept = peer.Run.keep, []

    def stop(run):
        keep(run)
        kept.append(run)
        raise KeyboardInterrupt

    monkeypatch.setattr(peer.Run, 'keep', stop)
    with pytest.raises(KeyboardInterrupt):
        train(monkeypatch, capsys, *settings)
    monkeypatch.setattr(peer.Run, 'keep', keep)
    with pytest.raises(SystemExit, match='--resume goes on'):
        train(monkeypatch, capsys, *settings)
    found = train(monkeypatch, capsys, *settings, '--resume')
    assert found['epoch'] == 2 and found['lr'] == 0.01 and set(found['iou']) <= {'left', 'right'}
    straight = train(monkeypatch, capsys, data, tmp_path / 'other.pt', *settings[2:])
    assert straight | {'seconds': 0} == found | {'seconds': 0}


def test_figures_leave_out_what_is_ignored_and_classes_that_are_nowhere(data):
    pictures = peer.Pictures(data, 'val', peer.transforms(32, train=False))

    class All(torch.nn.Module):
        def forward(self, images):
            assert images.shape == (1, 3, 32, 40)
            return {'out': torch.tensor([0.0, 1, 0]).view(1, 3, 1, 1).expand(1, 3, 8, 10)}

    counts = peer.confusion(All(), pictures, 3)
    assert counts.tolist() == [[0, 639, 0], [0, 640, 0], [0, 0, 0]]
    found = peer.figures(counts, ['left', 'right', 'none'])
    assert found == {'miou': 0.2502, 'pixel_accuracy': 0.5004, 'iou': {'left': 0.0, 'right': 0.5004}}


def test_what_is_padded_is_ignored(data):
    pictures = peer.Pictures(data, 'train', peer.transforms(100, train=True))
    torch.manual_seed(0)
    for _ in range(4):
        image, mask = pictures[0]
        assert image.shape == (3, 100, 100) and image.dtype == torch.float32
        assert mask.shape == (100, 100) and mask.dtype == torch.int64 and set(mask.unique().tolist()) <= {0, 1, 255}
