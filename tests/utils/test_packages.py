import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from mbv3zoo.runtimes.table import all_packages
from mbv3zoo.utils import packages
from mbv3zoo.utils.packages import EXTRAS, import_package, is_installed, require

ROOT = Path(__file__).parents[2]


def test_the_extras_are_those_of_pyproject():
    stated = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['optional-dependencies']
    asked = {
        extra: dict(re.fullmatch(r'([\w-]+)(?:\[\w+\])?>=([\d.]+)', line).groups() for line in lines)
        for extra, lines in stated.items()
        if extra not in ('all', 'docs', 'lint', 'test')
    }
    assert asked == EXTRAS
    optional = {package for own in EXTRAS.values() for package in own}
    assert set(all_packages()) - {'torch'} <= optional


def test_without_any_extra_every_use_of_one_ends_in_one_line(tmp_path):
    program = ROOT / 'tests' / 'helpers' / 'hidden_packages.py'
    done = subprocess.run([sys.executable, str(program), str(tmp_path)], capture_output=True, text=True)
    assert not done.returncode, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for one in found['said']:
        line = one['text'].removesuffix('\n')
        assert one['code'] == 1 and line.startswith('mbv3zoo: ') and '\n' not in line, one
        assert line.count('; install with: pip install "mbv3zoo[') == 1 and line.endswith(']"'), one
        assert all(package in line for package in one['packages']), one
    asked = ' '.join(one['asked'] for one in found['said'])
    assert all(word in asked for word in ('.onnx', '.xml', '.ncnn.param', '.mlpackage', 'int8', 'openvino', 'mp4'))
    assert {name for name in found['left'] if not name.startswith('model.')} <= {'runs'}


def test_the_command_names_one_extra_where_one_has_all(monkeypatch):
    monkeypatch.setattr(packages, 'is_installed', lambda package: False)
    with pytest.raises(ImportError, match=r'^x needs onnx, nncf; install with: pip install "mbv3zoo\[export\]"$'):
        require('x', 'onnx', 'nncf')
    with pytest.raises(ImportError, match=r'pip install "mbv3zoo\[export,video\]" pandas$'):
        require('x', 'onnx', 'av', 'pandas')
    # Brought by a package of another name.
    with pytest.raises(ImportError, match=r'x needs mlflow; install with: pip install "mbv3zoo\[mlflow\]"$'):
        require('x', 'mlflow')


def test_a_package_that_is_too_old_is_told(monkeypatch):
    monkeypatch.setattr(packages, 'is_installed', lambda package: True)
    monkeypatch.setattr(packages, 'installed_version', lambda package: '1.9.2')
    told = r'^x needs onnx 1.18 or newer, and 1.9.2 is installed; install with: pip install "mbv3zoo\[export\]"$'
    with pytest.raises(ImportError, match=told):
        require('x', 'onnx')


@pytest.mark.parametrize(
    'failure', ['ImportError("libGL.so.1: no\\n such file")', 'OSError("libGL.so.1: no such file")']
)
def test_a_package_that_fails_when_it_is_imported_is_told(tmp_path, monkeypatch, failure):
    (tmp_path / 'broken_package.py').write_text(f'raise {failure}\n')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError) as caught:
        require('x', 'broken_package')
    text = str(caught.value)
    assert text.startswith('x needs broken_package, which is installed but fails when it is imported (')
    assert 'libGL.so.1: no such file); install what it asks for' in text and '\n' not in text
    assert caught.value.__cause__ is not None


def test_what_is_imported_sends_no_statistics(tmp_path, monkeypatch):
    monkeypatch.delenv('NNCF_CI', raising=False)
    (tmp_path / 'watched_package.py').write_text("import os\nvalue = os.environ.get('NNCF_CI')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert import_package('x', 'watched_package').value == '1' and 'NNCF_CI' not in os.environ


def test_a_folder_that_lies_around_is_no_package(tmp_path, monkeypatch):
    (tmp_path / 'folder_of_data').mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert not is_installed('folder_of_data')
    with pytest.raises(ImportError, match='^x needs folder_of_data; install with'):
        import_package('x', 'folder_of_data')
    monkeypatch.setattr(packages, 'find_spec', lambda name: ModuleSpec(name, None, origin='here'))
    assert is_installed('folder_of_data')
