import ast
import subprocess
import sys
from pathlib import Path

import pytest

from mbv3zoo.runtimes import table
from mbv3zoo.runtimes.table import FORMATS, LIVE_FORMATS, RUNTIMES, all_packages, format_of, runtimes_for
from mbv3zoo.utils import packages

ROOT = Path(__file__).parents[2]


def functions(room, name):
    """Names of a module's functions, with their arguments."""
    tree = ast.parse((ROOT / 'mbv3zoo' / room / f'{name}.py').read_text(encoding='utf-8'))
    return {node.name: [arg.arg for arg in node.args.args] for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize('name', FORMATS)
def test_every_format_has_a_writer_and_runtimes_that_open_it(name):
    row = FORMATS[name]
    assert row.name == name and row.suffix.startswith('.') and row.runtimes
    assert functions('export', name)['write'] == ['graph', 'path']
    for runtime in row.runtimes:
        assert functions('runtimes', runtime.name)['open'] == ['path', 'threads', 'device']
    if 'int8' in row.precisions:
        assert functions('export', f'quantize_{name}')['quantize'] == ['path', 'info', 'batches']


@pytest.mark.parametrize('name', FORMATS)
def test_one_extra_installs_what_a_format_needs(name):
    row = FORMATS[name]
    needed = {*row.packages, *row.int8_packages, *(runtime.package for runtime in row.runtimes)}
    assert any(needed <= {*installed, 'torch'} for installed in packages.EXTRAS.values())


def test_files_are_told_by_their_end(tmp_path):
    assert runtimes_for(tmp_path / 'm.onnx') == ['onnxruntime', 'openvino']
    assert runtimes_for(tmp_path / 'm.xml') == ['openvino'] and runtimes_for(tmp_path / 'm') == []


def test_the_format_of_a_name():
    assert format_of('a/b.ncnn.param') is FORMATS['ncnn'] and format_of(Path('a.pt2')).name == 'torch_export'
    with pytest.raises(ValueError, match=r'a\.engine: cannot tell the format .* \.onnx \(onnx\), \.xml \(openvino\)'):
        format_of('a.engine')


def test_live_runtimes_are_the_usual_ones_of_their_formats():
    assert {name: row.live_dtype for name, row in LIVE_FORMATS.items()} == {
        'onnxruntime': 'uint8',
        'openvino': 'float32',
    }
    assert all(row.runtimes[0] is RUNTIMES[name] for name, row in LIVE_FORMATS.items())


def test_missing_packages(monkeypatch):
    hidden = ['nncf', 'ncnn']
    monkeypatch.setattr(packages, 'is_installed', lambda package: package not in hidden)
    monkeypatch.setattr(table, 'is_installed', lambda package: package not in hidden)
    openvino = FORMATS['openvino']
    assert openvino.needed('int8') == ['openvino', 'onnx', 'onnxscript', 'nncf']
    assert not RUNTIMES['ncnn'].is_installed() and RUNTIMES['openvino'].is_installed()
    with pytest.raises(ImportError, match='needs nncf;'):
        openvino.check_installed('int8')
    # Writing ONNX needs a runtime that opens what was written, whichever there is.
    assert FORMATS['onnx'].needed() == ['onnx', 'onnxscript', 'onnxruntime']
    hidden.append('onnxruntime')
    assert FORMATS['onnx'].needed() == ['onnx', 'onnxscript', 'openvino']
    with pytest.raises(ImportError, match=r'writing ncnn needs ncnn; install with: pip install "mbv3zoo\[phones\]"'):
        FORMATS['ncnn'].check_installed()


def test_it_imports_neither_torch_nor_a_runtime():
    code = f'import sys, mbv3zoo.runtimes.table; print(*({{*sys.modules}} & {set(all_packages())}))'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ''
