"""Every file that a stranger can hand over has bounds before it is parsed, and docs/security.md states them."""

import contextlib
import re
import struct
import time
from pathlib import Path

import pytest

from mbv3zoo.cards.bounds import CARD_LIMIT, METADATA_LIMIT, check_card
from mbv3zoo.convert.inert_pickle import MAX_OPCODES, read_pickle
from mbv3zoo.convert.torch_file import MAX_PICKLE_BYTES
from mbv3zoo.data.coco_json import COCO_LIMIT, read_coco
from mbv3zoo.data.label_values import LABELS_LIMIT, LIST_LIMIT, MOST_LISTED
from mbv3zoo.data.problems import LabelProblems
from mbv3zoo.data.voc_xml import DEEPEST_XML, read_xml
from mbv3zoo.data.yolo import load_yolo
from mbv3zoo.data.yolo_rows import RowReader
from mbv3zoo.export.certificate import read_certificate
from mbv3zoo.hub.publish import published_card
from mbv3zoo.images.bounded_file import BYTES_OF_PIXEL, MORE_BYTES, MOST_READS, MOST_SCANS
from mbv3zoo.images.read import read_size
from mbv3zoo.runtimes.export_info import read_info
from mbv3zoo.runtimes.table import FORMATS
from mbv3zoo.saving.folder import read_config
from mbv3zoo.saving.weights_file import HEADER_LIMIT, read_weights
from mbv3zoo.utils.csv import CSV_LIMIT, read_csv
from mbv3zoo.utils.extent import DEEPEST
from mbv3zoo.utils.json import SETTINGS_LIMIT, SETTINGS_VALUES, parse_settings
from mbv3zoo.utils.sizes import MAX_PIXELS
from mbv3zoo.utils.yaml import YAML_LIMIT, YAML_VALUES, parse_yaml, read_mapping
from mbv3zoo.zoo.configs import load_config

TOP = Path(__file__).resolve().parents[1]
PAGE = (TOP / 'docs' / 'security.md').read_text(encoding='utf-8')

# Kind -> numbers in the page's columns `size` and `depth and count`.
BOUNDS = {
    'YAML': ([YAML_LIMIT], [YAML_VALUES, DEEPEST]),
    'JSON settings': ([SETTINGS_LIMIT], [SETTINGS_VALUES, DEEPEST]),
    'COCO JSON': ([COCO_LIMIT], []),
    'Pascal VOC XML': ([LABELS_LIMIT], [DEEPEST_XML]),
    'YOLO labels': ([LABELS_LIMIT], []),
    'lists of paths': ([LIST_LIMIT], [MOST_LISTED]),
    'CSV': ([CSV_LIMIT], []),
    'model card': ([CARD_LIMIT, METADATA_LIMIT], [DEEPEST]),
    'safetensors': ([HEADER_LIMIT], []),
    'checkpoint': ([MAX_PICKLE_BYTES], [MAX_OPCODES]),
    'picture': ([MORE_BYTES, BYTES_OF_PIXEL], [MAX_PIXELS, MOST_READS, MOST_SCANS]),
    'video': ([], [MAX_PIXELS]),
    'exported file': ([SETTINGS_LIMIT], [SETTINGS_VALUES, DEEPEST]),
}


def rows():
    """Kind -> the other cells of its row in the page's table of bounds."""
    lines = PAGE.partition('| kind |')[2].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines[: lines.index('')]]
    return {kind: others for kind, *others in cells}


def numbers(cell):
    return [int(number.replace(',', '')) for number in re.findall(r'\d[\d,]*', cell)]


def test_the_page_states_the_bounds_of_the_code():
    assert {kind: (numbers(size), numbers(count)) for kind, (_, size, count, *_) in rows().items()} == BOUNDS


@pytest.mark.parametrize('kind', BOUNDS)
def test_each_bound_has_a_test(kind):
    *_, named = rows()[kind]
    tests = re.findall(r'`([\w/.]+)::(\w+)`', named)
    assert tests
    for file, name in tests:
        assert f'def {name}(' in (TOP / 'tests' / file).read_text(encoding='utf-8'), (kind, file, name)


def test_the_page_says_of_each_format_what_opening_it_does():
    assert [name for name, row in FORMATS.items() if f'`{row.suffix}`' not in PAGE] == []


def yolo_rows(path):
    problems = LabelProblems('a')
    assert RowReader(None, path, problems).read(path) is None
    raise ValueError(problems.lines[0])


def listed(path):
    (path.parent / 'data.yaml').write_text(f'names: [a]\ntrain: {path.name}')
    load_yolo(path.parent / 'data.yaml', 'train')


def xml(path):
    raise ValueError(f'{path}: {read_xml(path).error}')


def certificate(path, read):
    read(path.with_name('a.onnx'))


READERS = {
    'model.yaml': (load_config, YAML_LIMIT),
    'data.yaml': (lambda path: load_yolo(path, 'train'), YAML_LIMIT),
    'run.yaml': (read_mapping, YAML_LIMIT),
    'config.json': (read_config, SETTINGS_LIMIT),
    'a.onnx.json': (lambda path: certificate(path, read_certificate), SETTINGS_LIMIT),
    'b.onnx.json': (lambda path: read_info(path.with_name('b.onnx'), None), SETTINGS_LIMIT),
    'annotations.json': (lambda path: read_coco(path, LabelProblems('a')), COCO_LIMIT),
    'a.xml': (xml, LABELS_LIMIT),
    'a.txt': (yolo_rows, LABELS_LIMIT),
    'train.txt': (listed, LIST_LIMIT),
    'results.csv': (read_csv, CSV_LIMIT),
    'README.md': (lambda path: published_card(path.parent, 'org/name'), CARD_LIMIT),
    'a.png': (read_size, MORE_BYTES + BYTES_OF_PIXEL * MAX_PIXELS),
}


@pytest.mark.parametrize('name', READERS)
def test_a_file_over_its_bound_is_refused_by_its_size(tmp_path, name):
    read, limit = READERS[name]
    with open(tmp_path / name, 'wb') as file:
        file.truncate(limit + 1)  # a hole, which takes no space
    start = time.process_time()
    with pytest.raises(ValueError) as caught:
        read(tmp_path / name)
    assert time.process_time() - start < 0.5
    message = str(caught.value)
    assert str(tmp_path / name) in message and str(limit + 1) in message and str(limit) in message
    assert '\n' not in message


def test_a_record_in_an_exported_file_is_bounded_as_its_certificate_is(tmp_path):
    with pytest.raises(ValueError, match=f'a.onnx: its metadata is not JSON: it has {SETTINGS_LIMIT + 1} characters'):
        read_info(tmp_path / 'a.onnx', ' ' * (SETTINGS_LIMIT + 1))
    with pytest.raises(ValueError, match='a.onnx: its metadata is not JSON: its lists and mappings'):
        read_info(tmp_path / 'a.onnx', '[' * 5000)


def test_deep_xml_is_refused(tmp_path):
    path = tmp_path / 'a.xml'
    path.write_text('<annotation>' + '<a>' * DEEPEST_XML + '</a>' * DEEPEST_XML + '</annotation>')
    assert read_xml(path).error == f'its elements are nested more than {DEEPEST_XML} deep'
    path.write_text('<annotation>' + '<a>' * (DEEPEST_XML - 1) + '</a>' * (DEEPEST_XML - 1) + '</annotation>')
    assert not read_xml(path).error


def header(count):
    entries = ','.join(f'"{i}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}' for i in range(count))
    return struct.pack('<Q', len(entries) + 2) + b'{' + entries.encode() + b'}'


def filled(unit, limit, start='', end=''):
    return start + unit * ((limit - len(start) - len(end)) // len(unit)) + end


# The slowest that were found for each kind, and how much longer the bound allows where the file is smaller.
WORST = {
    'YAML list': (parse_yaml, filled('?,', YAML_LIMIT, '[', ']'), 'a'),
    'YAML lines': (parse_yaml, filled('- a\n', YAML_LIMIT), 'a'),
    'YAML literal': (parse_yaml, filled('\n', YAML_LIMIT, 'a: |\n'), 'a'),
    'YAML levels': (parse_yaml, filled('[' * 17 + '],' * 17, YAML_LIMIT, '[', ']'), 'a'),
    'JSON settings': (parse_settings, filled('[],', SETTINGS_LIMIT, '[', '1]')),
    'JSON settings, keys': (parse_settings, '{' + ','.join(f'"{i}":[]' for i in range(240_000)) + '}'),
    'model card': (check_card, filled('?,', METADATA_LIMIT, '---\na: [', ']\n---\n')),
    'checkpoint': (read_pickle, b'\x80\x02](' + b'ca\nb\n' * (MAX_OPCODES - 20) + b'e.'),
}
WORST_FILES = {
    'COCO JSON': (lambda path: read_coco(path, LabelProblems('a')), filled('{},', 2**24, '{"annotations":[', '1]}')),
    'Pascal VOC XML': (read_xml, filled('<object/>', LABELS_LIMIT, '<annotation>', '</annotation>')),
    'YOLO labels': (lambda path: RowReader(None, path, LabelProblems('a')).read(path), filled('a\n', LABELS_LIMIT)),
    'CSV': (read_csv, filled('a\n', CSV_LIMIT)),
    'safetensors': (read_weights, header(HEADER_LIMIT // 59)),
    'picture': (read_size, b'P6 #' + b'x' * (MOST_READS + 1)),
}


@pytest.mark.slow
@pytest.mark.parametrize('kind', [*WORST, *WORST_FILES])
def test_the_slowest_files_at_the_bounds_take_seconds_at_most(tmp_path, kind, record_property):
    if kind in WORST:
        read, *args = WORST[kind]
    else:
        read, data = WORST_FILES[kind]
        args = [tmp_path / 'a']
        args[0].write_bytes(data.encode() if isinstance(data, str) else data)
    start = time.process_time()
    with contextlib.suppress(ValueError):
        read(*args)
    took = time.process_time() - start
    record_property('cpu_seconds', took)
    print(f'{kind}: {took:.2f} CPU seconds')
    # Two to five were measured; other machines are slower.
    assert took < 20
