"""Every command that writes, on a disk that is full or read-only."""

import contextlib
import shutil
import subprocess

import pytest
from exported_files import MODEL, SCENE
from program import run
from tiny_sets import CLASS_NAMES, write_yolo_set

from mbv3zoo.create import create_detector
from mbv3zoo.utils.disk import sentence

pytestmark = pytest.mark.slow

# Name of what is written -> the command. OUT is its path on the disk; DATA and OWN are a dataset and a detector for it.
COMMANDS = {
    'saved': 'pull {MODEL} OUT',
    'model.onnx': 'export {MODEL} OUT --image-size 64',
    'model.xml': 'export {MODEL} OUT --image-size 64',
    'model.ncnn.param': 'export {MODEL} OUT --image-size 64',
    'model.torchscript': 'export {MODEL} OUT --image-size 64',
    'model.pt2': 'export {MODEL} OUT --image-size 64',
    'page': 'demo {MODEL} OUT --image-size 64',
    'app': 'demo {MODEL} OUT --gradio',
    'set': 'synth OUT --train 200 --val 1 --image-size 256 --workers 1',
    'found': 'predict {MODEL} {SCENE} --out OUT',
    'report': 'val OWN --data DATA --out OUT',
    'run': 'train --data DATA --model mbv3_yolo_small_050 --image-size 64 --epochs 1 --out OUT',
}


@contextlib.contextmanager
def mounted(folder, size):
    folder.mkdir()
    try:
        done = subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', folder], capture_output=True)
    except FileNotFoundError:
        pytest.skip('there is no mount')
    if done.returncode:
        pytest.skip('file systems cannot be mounted here')
    try:
        yield folder
    finally:
        subprocess.run(['umount', '-l', folder], check=True)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data')
    own = create_detector('mbv3_yolo_small_050', class_names=CLASS_NAMES, image_size=64).save_pretrained(folder / 'own')
    return {'DATA': write_yolo_set(folder), 'OWN': own}


def everything(folder):
    return {path.relative_to(folder): path.is_file() and path.read_bytes() for path in folder.rglob('*')}


@pytest.mark.parametrize('fault', ['full', 'read-only'])
def test_a_cache_that_cannot_be_written_is_told_and_no_error(tmp_path, data, monkeypatch, caplog, fault):
    pytest.importorskip('onnxruntime')
    with mounted(tmp_path / 'disk', '128k') as disk:
        if fault == 'read-only':
            subprocess.run(['mount', '-o', 'remount,ro', disk], check=True)
        monkeypatch.setenv('MBV3ZOO_CACHE', str(disk / 'cache'))
        run('predict', data['OWN'], SCENE, '--runtime', 'onnxruntime', '--out', tmp_path / 'out')
        assert (tmp_path / 'out' / 'predictions.json').is_file()
        (record,) = [
            record for record in caplog.records if record.levelname == 'WARNING' and record.name.startswith('mbv3zoo')
        ]
        assert f'nothing is kept in the cache {disk}/cache/graphs: ' in record.getMessage()
        assert ('the file system is read-only' if fault == 'read-only' else 'the disk is full') in record.getMessage()
        assert not [path for path in disk.rglob('*') if path.is_file()]


@pytest.mark.parametrize('fault', ['little room', 'no room', 'read-only'])
@pytest.mark.parametrize('name', COMMANDS)
def test_a_command_ends_in_one_sentence_and_leaves_what_was_there(tmp_path, data, name, fault):
    with mounted(tmp_path / 'disk', '128k') as disk:
        if fault == 'little room' and name in ('app', 'found'):
            pytest.skip('an app fits; so do rows, and a drawing that does not is told in its row')
        (disk / 'old').write_bytes(bytes(shutil.disk_usage(disk).free) if fault == 'no room' else b'old')
        if fault == 'read-only':
            subprocess.run(['mount', '-o', 'remount,ro', disk], check=True)
        before, out = everything(disk), disk / name
        words = COMMANDS[name].format(MODEL=MODEL, SCENE=SCENE).split()
        error = run(*(({**data, 'OUT': out}).get(word, word) for word in words), ok=False).exception
        text = sentence(error) if isinstance(error, OSError) else str(error)
        assert str(disk) in text and '.staging' not in text and '\n' not in text
        assert ('the file system is read-only' if fault == 'read-only' else 'the disk is full') in text
        left = everything(disk)
        assert left.items() >= before.items()
        # A folder of results may keep what was whole; a file of several parts, or a saved detector, does not.
        if name not in ('found', 'run'):
            assert [path for path in left.keys() - before.keys() if left[path] is not False] == []
