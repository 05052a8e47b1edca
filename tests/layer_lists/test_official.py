import pytest
import yaml
from yolov5_yamls import official

from mbv3zoo.layer_lists.official import BACKBONE_ROWS, BACKBONE_STAGES, NECK_INPUTS, NECK_OUTPUTS, NECK_ROWS


@pytest.fixture(scope='module')
def published():
    """YOLOv5's own file, as YAML alone reads it."""
    return yaml.safe_load(official())


def sources(row, number):
    given = row[0] if isinstance(row[0], list) else [row[0]]
    return tuple(source + number if source < 0 else source for source in given)


def test_the_rows_are_those_of_yolov5s_file(published):
    rows = published['backbone'] + published['head']
    for number, (row, own) in enumerate(zip(rows[:-1], BACKBONE_ROWS + NECK_ROWS, strict=True)):
        args = tuple({'None': None, 'False': False}.get(str(arg), arg) for arg in row[3])
        assert (own.sources, own.repeats, own.block, own.args) == (sources(row, number), row[1], row[2], args), number
    assert rows[-1][:3] == [list(NECK_OUTPUTS), 1, 'Detect']


def test_stages_and_inputs_are_the_last_rows_of_their_strides():
    # A convolution of stride 2 halves the map; everything else in the backbone keeps it.
    strides, stride = [], 1
    for row in BACKBONE_ROWS:
        stride *= row.args[2] if row.block == 'Conv' else 1
        strides.append(stride)
    last = {stride: number for number, stride in enumerate(strides)}
    assert tuple(last[stride] for stride in (4, 8, 16, 32)) == BACKBONE_STAGES
    assert tuple(last[stride] for stride in (8, 16, 32)) == NECK_INPUTS
