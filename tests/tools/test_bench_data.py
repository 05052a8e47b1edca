import json

import bench_data
import pytest

from mbv3zoo.data.load import load_dataset


@pytest.mark.parametrize('layout', sorted(bench_data.WRITERS))
def test_each_layout_has_the_same_images_and_objects(tmp_path, layout):
    bench_data.write(tmp_path / 'set', layout, images=30, objects=90)
    data = load_dataset(tmp_path / 'set', 'train')
    assert len(data) == 30 and len(data.records.labels) == 90 and data.problems == ()
    assert (data.records.sizes == data.records.sizes.new_tensor([480, 640])).all()
    if layout == 'coco':
        text = (tmp_path / 'set/annotations/instances_train2017.json').read_text()
        assert len(json.loads(text)['annotations']) == 90 and 700 < len(text) / 90 < 1000


def test_times_and_peaks_are_printed(tmp_path, capsys):
    bench_data.write(tmp_path / 'set', 'coco', images=5, objects=9)
    bench_data.read(tmp_path / 'set')
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == ['json.load', 'first', 'second']
    assert all(0 < float(row[-2]) < 8 for row in rows)
