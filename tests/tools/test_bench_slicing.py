"""The comparison of whole images with tiles."""

import bench_slicing
import pytest
import torch
from PIL import Image

import mbv3zoo
from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.detections import Detections
from mbv3zoo.evaluation.coco import score
from mbv3zoo.synth import SyntheticConfig, synthesize


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data') / 'scenes'
    synthesize(folder, SyntheticConfig(train=0, val=3, image_size=96, workers=0))
    return folder


def test_what_was_put_into_the_cells_is_found_in_them(scenes, tmp_path):
    data = mbv3zoo.load_dataset(scenes, 'val')
    records = bench_slicing.compose(data, (100, 150), 48, tmp_path / 'a.png')
    with Image.open(tmp_path / 'a.png') as picture:
        assert picture.size == (150, 100)
    places = bench_slicing.corners((100, 150), 48)
    assert places == [(0, 0), (48, 0), (96, 0), (0, 48), (48, 48), (96, 48)] and len(records) == 6
    for record, source in zip(records, [*data.records, *data.records], strict=True):
        assert torch.allclose(record.boxes * 2, source.boxes, atol=0.1) and record.size == (48, 48)
    whole = torch.cat(
        [record.boxes + torch.tensor([x, y, x, y]) for record, (x, y) in zip(records, places, strict=True)]
    )
    labels = torch.cat([record.labels for record in records])
    found = Detections(whole, torch.full((len(whole),), 0.9), labels, data.class_names, (100, 150))
    parts = bench_slicing.by_cell(found, (100, 150), 48)
    composed = DetectionSet(records, data.class_names)
    assert score(composed, parts, with_f1=False).metrics.ap == pytest.approx(1)


def test_the_table_has_all_ways(scenes, tmp_path, monkeypatch, capsys):
    pytest.importorskip('supervision')
    arguments = ['mbv3_yolo_small.synth', '--scenes', str(scenes), '--height', '100', '--width', '150', '--cell', '48']
    arguments += ['--slice', '64', '--whole', '96', '--out', str(tmp_path / 'out')]
    monkeypatch.setattr('sys.argv', ['bench_slicing', *arguments])
    bench_slicing.main()
    names = [line.split('|')[1].strip() for line in capsys.readouterr().out.splitlines() if line.startswith('| ')]
    assert names == ['', 'whole', 'whole, input 96', 'tiles of 64', 'tiles of 64 alone']
