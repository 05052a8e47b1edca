"""A detector's folder on disk: whole after every accident, and read with suspicion."""

import errno
import math
import os
import subprocess
import sys
import textwrap

import pytest
import torch
from hub_server import REPOSITORY_ROOT
from safetensors import safe_open

from mbv3zoo.create import create_detector
from mbv3zoo.detector import Detector
from mbv3zoo.saving.folder import (
    CONFIG_LIMIT,
    LOADED_NAMES,
    all_files,
    read_config,
    read_contents,
    read_saved,
    save_folder,
    saved_files,
)
from mbv3zoo.utils.atomic import STAGING_NAME

CONFIG = {'architecture': 'mbv3_yolo', 'names': ['café', '犬'], 'nested': {'stride': [8, 16, 32], 'none': None}}
CARD = '---\nlicense: apache-2.0\n---\n# A detector\n'
NAMES = {*LOADED_NAMES, 'README.md'}
WEIGHTS = 'model.safetensors'


def make_state(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        'weight': torch.randn(4, 3, 2, 2, generator=generator),
        'half': torch.randn(7, generator=generator).half(),
        'count': torch.tensor(2**40),
        'flags': torch.tensor([True, False]),
        'empty': torch.empty(0, 3),
    }


def save(folder, seed=0, config=CONFIG, **options):
    return save_folder(folder, config, make_state(seed), {'bias': torch.full((3,), float(seed))}, CARD, **options)


def load(folder):
    config, backbone, head = read_saved(lambda: saved_files(folder))
    return {name: value for name, value in config.items() if name != 'sha256'}, backbone, head


def assert_same(loaded, expected):
    assert loaded.keys() == expected.keys()
    for name, tensor in expected.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)


def listing(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize('as_type', [str, lambda path: path])
def test_save_and_load_round_trip(tmp_path, as_type):
    folder = tmp_path / 'new' / 'detector'
    assert save(as_type(folder)) == folder
    assert listing(folder).keys() == NAMES
    config, backbone, head = load(folder)
    assert config == CONFIG
    assert_same(backbone, make_state())
    assert_same(head, {'bias': torch.zeros(3)})
    assert (folder / 'README.md').read_text(encoding='utf-8') == CARD
    with safe_open(folder / WEIGHTS, 'pt') as file:
        assert file.metadata() == {'format': 'pt'}


def test_pictures_are_saved_with_the_rest(tmp_path):
    save(tmp_path, more={'predictions.png': b'picture'})
    assert listing(tmp_path).keys() == {*NAMES, 'predictions.png'}
    assert (tmp_path / 'predictions.png').read_bytes() == b'picture'


def test_empty_config_and_state_dicts(tmp_path):
    save_folder(tmp_path, {}, {}, {}, '')
    assert load(tmp_path) == ({}, {}, {})


def test_any_memory_layout_is_saved_and_the_input_left_alone(tmp_path):
    state = {
        'channels_last': torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        'view': torch.arange(10)[::2],
        'parameter': torch.nn.Parameter(torch.ones(2)),
        'halves': torch.arange(6).view(2, 3).t(),
    }
    save_folder(tmp_path, {}, state, state, CARD)
    assert_same(load(tmp_path)[1], state)
    assert_same(load(tmp_path)[2], state)
    assert state['channels_last'].is_contiguous(memory_format=torch.channels_last)
    assert state['parameter'].requires_grad


def test_the_next_save_replaces_all_and_removes_what_is_outdated(tmp_path):
    save(tmp_path, more={'predictions.png': b'picture', 'other.png': b'a'})
    (tmp_path / 'README.md').write_text('another')
    save(tmp_path, 1, {'new': True}, outdated=['predictions.png', 'never-there.png'])
    assert listing(tmp_path).keys() == {*NAMES, 'other.png'} and (tmp_path / 'README.md').read_text() == CARD
    config, backbone, head = load(tmp_path)
    assert config == {'new': True}
    assert_same(backbone, make_state(1))
    assert_same(head, {'bias': torch.ones(3)})
    save(tmp_path, more={'other.png': b'b'}, outdated=['other.png'])
    assert (tmp_path / 'other.png').read_bytes() == b'b'


def test_loaded_weights_stay_when_the_folder_is_saved_again(tmp_path):
    save(tmp_path, 0)
    _, backbone, _ = load(tmp_path)
    save(tmp_path, 1)
    assert_same(backbone, make_state(0))


TIED = torch.ones(2)


@pytest.mark.parametrize('which', ['backbone', 'head'])
@pytest.mark.parametrize(
    ('config', 'state', 'message'),
    [
        ({'a': object()}, {}, 'cannot be written as JSON'),
        ({'a': math.nan}, {}, 'cannot be written as JSON'),
        ({'a': 'x' * 9 * 2**20}, {}, 'would have 9437.* bytes as JSON, and is read again up to'),
        ({}, {'a': [1.0]}, r"state_dict\['a'\] is of type list"),
        ({}, {'a': TIED, 'b': TIED, 'c': torch.ones(2)}, r"share memory.*\[\['a', 'b'\]\]"),
    ],
)
def test_what_cannot_be_saved_is_refused_before_anything_is_written(tmp_path, config, state, message, which):
    save(tmp_path / 'old')
    before = listing(tmp_path / 'old')
    weights = {'backbone': {}, 'head': {}, which: state}
    for folder in ('old', 'new'):
        with pytest.raises(ValueError, match=message):
            save_folder(tmp_path / folder, config, card=CARD, **weights)
    assert listing(tmp_path / 'old') == before
    assert not (tmp_path / 'new').exists()


def test_saving_to_a_file_is_refused(tmp_path):
    path = tmp_path / 'detector.pt'
    path.write_bytes(b'precious')
    with pytest.raises(ValueError, match=r'detector\.pt.*it is a file'):
        save(path)
    assert path.read_bytes() == b'precious'


def fail_at_nth_fsync(monkeypatch, n):
    """The disk is full when the n-th file's bytes are to reach it."""
    calls = []
    fsync = os.fsync

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == n:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, 'fsync', full)
    return calls


@pytest.mark.parametrize(
    ('n', 'name'), [(1, 'README.md'), (2, 'config.json'), (3, 'detector.safetensors'), (4, WEIGHTS)]
)
def test_full_disk_leaves_the_earlier_save_whole(tmp_path, monkeypatch, n, name):
    save(tmp_path, 0)
    before = listing(tmp_path)
    with monkeypatch.context() as patch:
        calls = fail_at_nth_fsync(patch, n)
        with pytest.raises(OSError, match=name) as caught:
            save(tmp_path, 1, {'new': True})
    assert len(calls) == n
    assert caught.value.errno == errno.ENOSPC
    assert str(tmp_path) in str(caught.value)
    assert listing(tmp_path) == before
    save(tmp_path, 1, {'new': True})
    assert load(tmp_path)[0] == {'new': True}


@pytest.mark.parametrize('n', [1, 2, 3, 4])
def test_full_disk_at_the_first_save_leaves_no_file(tmp_path, monkeypatch, n):
    fail_at_nth_fsync(monkeypatch, n)
    with pytest.raises(OSError, match='No space left'):
        save(tmp_path / 'new')
    assert listing(tmp_path / 'new') == {}


def test_a_killed_save_leaves_the_earlier_one_whole(tmp_path):
    folder = tmp_path / 'saved'
    save(folder, 0)
    before = listing(folder)
    code = """
    import os, sys, time
    import torch
    from mbv3zoo.saving.folder import save_folder

    fsync, calls = os.fsync, []

    def stop(descriptor):
        calls.append(descriptor)
        if len(calls) == 3:
            os.ftruncate(descriptor, 1000)
            print('stopped', flush=True)
            time.sleep(60)
        fsync(descriptor)

    os.fsync = stop
    save_folder(sys.argv[1], {'new': True}, {'weight': torch.ones(1000)}, {'weight': torch.ones(1000)}, '')
    """
    environment = {**os.environ, 'PYTHONPATH': str(REPOSITORY_ROOT), 'OMP_NUM_THREADS': '1'}
    command = [sys.executable, '-c', textwrap.dedent(code), str(folder)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == 'stopped\n'
        process.kill()
    assert (folder / STAGING_NAME).is_dir()
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert load(folder)[0] == CONFIG
    save(folder, 1, {'new': True})
    assert_same(load(folder)[1], make_state(1))
    assert listing(folder).keys() == before.keys()  # what the killed process left is gone


def test_what_is_copied_are_bytes_of_one_save(tmp_path):
    save(tmp_path, 0)
    contents = read_contents(lambda: all_files(tmp_path))
    assert contents == listing(tmp_path)
    # A config.json of another save, between a look at the files and the reading of their bytes.
    with pytest.raises(ValueError, match=r'model\.safetensors is not the file that was saved'):
        read_contents(
            lambda: saved_files(save(tmp_path, 0)) | {'config.json': save(tmp_path / 'new', 1) / 'config.json'}
        )


@pytest.mark.parametrize(
    ('removed', 'message'),
    [
        (['config.json'], r'has no config\.json\. The folder of a detector holds'),
        ([WEIGHTS], r'has no model\.safetensors\. .*never from a pickle'),
        (['detector.safetensors'], r'has no detector\.safetensors'),
        (['config.json', WEIGHTS], r'has no config\.json and no model\.safetensors'),
    ],
)
def test_missing_files_are_named(tmp_path, removed, message):
    save(tmp_path)
    (tmp_path / 'pytorch_model.bin').write_bytes(b'')
    for name in removed:
        (tmp_path / name).unlink()
    with pytest.raises(ValueError, match=message) as caught:
        saved_files(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_what_is_no_folder(tmp_path):
    with pytest.raises(ValueError, match='there is no folder .*nowhere'):
        saved_files(tmp_path / 'nowhere')
    (tmp_path / WEIGHTS).write_bytes(b'')
    with pytest.raises(ValueError, match='is a file. Give the folder'):
        saved_files(tmp_path / WEIGHTS)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'{"a": ', 'is corrupt: it is not JSON'),
        (b'', 'is corrupt'),
        (b'\xff\xfe{}', 'is corrupt'),
        pytest.param(b'[' * 100_000, 'is corrupt', id='deep list'),
        pytest.param(b'{"a":' * 100_000 + b'1' + b'}' * 100_000, 'is corrupt', id='deep dict'),
        pytest.param(b'{"a": ' + b'9' * 10_000 + b'}', 'is corrupt', id='long number'),
        (b'[]', 'is not a configuration: it holds a list'),
        (b'"text"', 'is not a configuration: it holds a str'),
        (b'null', 'is not a configuration: it holds a NoneType'),
    ],
)
def test_configurations_that_are_none(tmp_path, content, message):
    path = tmp_path / 'config.json'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_config(path, 'Do something.')
    assert str(path) in str(caught.value)
    assert str(caught.value).endswith('Do something.')


def test_a_huge_configuration_is_not_read(tmp_path):
    path = tmp_path / 'config.json'
    with open(path, 'wb') as file:
        file.truncate(2**40)  # sparse: it takes no space, but no memory would hold it
    with pytest.raises(ValueError, match=f'config.json has {2**40} bytes, expected at most {CONFIG_LIMIT}'):
        read_config(path)


def test_a_folder_whose_name_is_no_utf8_is_read_too(tmp_path):
    folder = tmp_path / os.fsdecode(b'run\xff')
    saved = create_detector('mbv3_yolo_small_050', image_size=64).save_pretrained(folder)
    assert Detector.from_pretrained(saved).config.image_size == (64, 64)
    (folder / 'model.safetensors').write_bytes((folder / 'model.safetensors').read_bytes()[:-9])
    with pytest.raises(ValueError, match='corrupt'):
        Detector.from_pretrained(saved)


def test_a_name_that_is_too_long_is_told_in_one_sentence(tmp_path):
    with pytest.raises(OSError, match='could not make the folder .*: its name is too long .*; give it a shorter one'):
        save(tmp_path / ('n' * 300))
