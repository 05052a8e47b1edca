"""The program where its standard streams are closed or full, run as a shell runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def shell(command, cwd):
    env = {**os.environ, 'PYTHONPATH': str(ROOT), 'PY': sys.executable}
    return subprocess.run(['bash', '-c', command], capture_output=True, text=True, env=env, cwd=cwd)


@pytest.mark.skipif(not Path('/dev/full').exists(), reason='needs /dev/full')
def test_an_output_that_is_full_ends_in_one_sentence(tmp_path):
    done = shell('"$PY" -m mbv3zoo list > /dev/full', tmp_path)
    assert done.returncode == 1 and done.stderr.count('\n') == 1
    assert done.stderr.startswith('mbv3zoo: could not write to the standard output: the disk is full (')


def test_a_reader_that_has_seen_enough_and_streams_that_are_closed_are_no_errors(tmp_path):
    done = shell('"$PY" -m mbv3zoo list | head -1; "$PY" -m mbv3zoo list >&-', tmp_path)
    assert (done.returncode, done.stdout.count('\n'), done.stderr) == (0, 1, '')


@pytest.mark.parametrize('closed', ['2>&-', '>&- 2>&-', '2> /dev/full'])
def test_the_work_is_done_also_where_nobody_can_be_told_about_it(tmp_path, closed):
    if 'full' in closed and not Path('/dev/full').exists():
        pytest.skip('needs /dev/full')
    done = shell(f'"$PY" -m mbv3zoo synth out --train 1 --val 1 --image-size 64 --workers 1 {closed}', tmp_path)
    assert done.returncode == 0 and (tmp_path / 'out' / 'data.yaml').read_text().startswith('train:')
    assert {entry.name for entry in tmp_path.iterdir()} == {'out'}
