"""What an exported file says about itself is shown for every format, with its certificate or by its own record."""

import shutil
import subprocess
import sys

import pytest
from exported_files import RUNNABLE, SIZE
from program import run

from mbv3zoo.info.exported import describe_exported
from mbv3zoo.runtimes.parts import parts


@pytest.mark.parametrize('name', RUNNABLE)
def test_every_format_is_described(exported, name):
    path = exported(name)
    lines = dict(line.split(maxsplit=1) for line in describe_exported(path).splitlines() if line[:1] != ' ')
    size = sum(part.stat().st_size for part in parts(path).values())
    assert lines['file'] == f'{" and ".join(part.name for part in parts(path).values())}, {size / 1e6:.2f} MB'
    assert lines['format'].startswith(f'{name}, weights in float32, written by mbv3zoo ')
    assert lines['input'].startswith(f'1 image per call of {SIZE[0]} x {SIZE[1]}, RGB in 0..255, ')
    assert lines['output'] == 'raw logits at strides [8, 16, 32]; NMS is outside'
    assert lines['classes'].startswith('16: arrow, ball, ') and lines['licence'].startswith('apache-2.0')
    assert 'opened in' in lines['certificate']


def test_the_program_describes_a_file_without_torch(exported):
    code = (
        'import sys; from mbv3zoo.info.exported import describe_exported; '
        "print(describe_exported(sys.argv[1]), *[name for name in ('torch', 'timm') if name in sys.modules])"
    )
    path = exported('onnx')
    shown = subprocess.run([sys.executable, '-c', code, path], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == describe_exported(path) == run('info', path).output.strip()


def test_without_a_certificate_the_file_itself_is_read(exported, tmp_path):
    path = shutil.copy(exported('onnx'), tmp_path / 'bare.onnx')
    assert 'certificate         none: there is no bare.onnx.json beside it' in describe_exported(path)


def test_files_that_are_not_ours_are_told(exported, tmp_path):
    with pytest.raises(ValueError, match='nothing.onnx: there is no such file'):
        describe_exported(tmp_path / 'nothing.onnx')
    (tmp_path / 'other.onnx').write_bytes(b'x')
    with pytest.raises(ValueError, match='other.onnx: onnxruntime cannot open it'):
        describe_exported(tmp_path / 'other.onnx')
    shutil.copy(f'{exported("onnx")}.json', tmp_path / 'other.onnx.json')
    with pytest.raises(ValueError, match='is not the file that the certificate'):
        describe_exported(tmp_path / 'other.onnx')
