import sys

import pytest

from mbv3zoo.benchmark.process import ProcessFailed, run_in_process


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts a module in place of the worker; as a file in the first of the places where modules are found."""

    def place(text):
        folder = tmp_path / 'mbv3zoo' / 'benchmark'
        folder.mkdir(parents=True)
        for init in (folder.parent, folder):
            (init / '__init__.py').touch()
        (folder / 'worker.py').write_text(text)
        monkeypatch.setattr(sys, 'path', [str(tmp_path), *sys.path])

    return place


def test_what_a_model_prints_is_not_what_was_found(program):
    program("""
import json, sys
print('{"ms": 1}')
print('noise', file=sys.stderr)
sys.stdout.buffer.write(b'\\xff\\n')
asked = json.load(open(sys.argv[1]))
json.dump(asked, open(sys.argv[2], 'w'))
print('[]')
""")
    assert run_in_process('time', a=1, b=['ü']) == {'task': 'time', 'job': {'a': 1, 'b': ['ü']}}


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('import sys\nprint("first")\nsys.exit("the last line\\n")', 'ended with code 1: the last line'),
        ('import os\nos.kill(os.getpid(), 9)', 'was killed by signal 9'),
        ('', 'ended with code 0'),
    ],
)
def test_a_process_that_dies_says_how(program, text, words):
    program(text)
    with pytest.raises(ProcessFailed, match=f'^its process {words}$'):
        run_in_process('time')


def test_files_in_the_working_folder_are_not_imported(tmp_path, monkeypatch):
    (tmp_path / 'json.py').write_text('raise SystemExit("imported")')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'path', [path for path in sys.path if path])
    with pytest.raises(ProcessFailed, match='KeyError'):
        run_in_process('no such task')
