import errno
import io
import os
import pickle
import zipfile

import pytest
import torch

from mbv3zoo.training.checkpoint import STATE_NAME, load_state, save_state


def state_of(value):
    return {
        'epoch': 3,
        'best_ap': 0.5,
        'model': {'weight': torch.full((4, 5), float(value)), 'count': torch.tensor(7)},
        'ema': None,
        'optimizer': {'state': {0: {'step': torch.tensor(2.0)}}, 'param_groups': [{'lr': 0.1, 'params': [0, 1]}]},
    }


def test_what_was_saved_comes_back(tmp_path):
    save_state(tmp_path, state_of(1))
    save_state(tmp_path, state_of(2))
    state = load_state(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [STATE_NAME]
    assert torch.equal(state['model']['weight'], torch.full((4, 5), 2.0)) and state['model']['count'] == 7
    plain = {key: state[key] for key in ('epoch', 'best_ap', 'ema', 'optimizer')}
    assert plain == {key: state_of(2)[key] for key in plain}


def test_nothing_to_resume(tmp_path):
    with pytest.raises(ValueError, match=r'nothing to resume; state\.pt is not there'):
        load_state(tmp_path)
    with pytest.raises(ValueError, match='nothing to resume'):
        load_state(tmp_path / 'none')


@pytest.mark.parametrize('content', [b'', b'no state at all', b'\x80\x02garbage', b'PK\x03\x04 cut'])
def test_a_damaged_state_is_named(tmp_path, content):
    (tmp_path / STATE_NAME).write_bytes(content)
    with pytest.raises(ValueError, match=r'state\.pt: not a state of a run, or damaged'):
        load_state(tmp_path)


@pytest.mark.parametrize('share', [0.1, 0.5, 0.99])
def test_a_cut_state_is_named(tmp_path, share):
    save_state(tmp_path, state_of(1))
    content = (tmp_path / STATE_NAME).read_bytes()
    (tmp_path / STATE_NAME).write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ValueError, match=r'state\.pt: not a state of a run, or damaged'):
        load_state(tmp_path)


class Mischief:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), 'w')


def test_code_in_a_state_is_refused_and_not_run(tmp_path):
    torch.save({'epoch': Mischief(tmp_path / 'done')}, tmp_path / STATE_NAME)
    with pytest.raises(ValueError, match='not a state of a run'):
        load_state(tmp_path)
    assert not (tmp_path / 'done').exists()


def test_a_full_disk_leaves_the_old_state(tmp_path, monkeypatch):
    save_state(tmp_path, state_of(1))

    def no_space(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, 'fsync', no_space)
        with pytest.raises(OSError, match=r'could not write state\.pt.*No space left'):
            save_state(tmp_path, state_of(2))
    assert load_state(tmp_path)['model']['weight'].max() == 1
    assert [p.name for p in tmp_path.iterdir()] == [STATE_NAME]


def flattened(value, path=''):
    """All values of a nested state, by their path."""
    if isinstance(value, dict):
        return {name: leaf for key, part in value.items() for name, leaf in flattened(part, f'{path}.{key}').items()}
    if isinstance(value, list):
        return flattened(dict(enumerate(value)), path)
    return {path: value.tolist() if isinstance(value, torch.Tensor) else value}


def is_whole(run):
    """Whether a state is what `state_of(1)` was; else the error is ours."""
    try:
        state = load_state(run)
    except ValueError as error:
        text = str(error)
        assert text.startswith(f'{run / STATE_NAME}: not a state of a run, or damaged: ') and '\n' not in text
        assert text.endswith(f'mbv3zoo train --model {run / "last"} --data ...')
        return False
    assert flattened(state) == flattened(state_of(1))
    return True


def test_a_changed_byte_anywhere_is_noticed_or_changes_nothing(tmp_path):
    save_state(tmp_path, state_of(1))
    content = (tmp_path / STATE_NAME).read_bytes()
    whole = 0
    for place in range(0, len(content), max(1, len(content) // 300)):
        for bit in (0x01, 0x80):
            damaged = bytearray(content)
            damaged[place] ^= bit
            (tmp_path / STATE_NAME).write_bytes(damaged)
            whole += is_whole(tmp_path)
    assert whole  # there is padding between the parts


def test_a_state_that_is_cut_anywhere_is_noticed(tmp_path):
    save_state(tmp_path, state_of(1))
    content = (tmp_path / STATE_NAME).read_bytes()
    for length in range(0, len(content), len(content) // 30):
        (tmp_path / STATE_NAME).write_bytes(content[:length])
        assert not is_whole(tmp_path)


def archive_of(*parts, method=zipfile.ZIP_STORED):
    content = io.BytesIO()
    with zipfile.ZipFile(content, 'w', method) as file:
        for name, data in parts:
            file.writestr(name, data)
    return content.getvalue()


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (archive_of(('archive/data.pkl', bytes(10**8)), method=zipfile.ZIP_DEFLATED), 'its parts are compressed'),
        (archive_of(('archive/data.pkl', pickle.dumps([1], 2)), ('archive/version', b'3')), 'it holds a list'),
        (archive_of(('a', b'')), ''),
        (archive_of(), ''),
        (None, 'it cannot be read'),
    ],
    # Archives hold the time: two processes that collect tests in two seconds would name them differently.
    ids=['compressed', 'another pickle', 'another part', 'empty', 'nothing'],
)
def test_what_is_no_state_is_told_and_not_unpacked(tmp_path, content, message):
    if content is None:
        (tmp_path / STATE_NAME).mkdir()
    else:
        (tmp_path / STATE_NAME).write_bytes(content)
    with pytest.raises(ValueError, match=rf'state\.pt: not a state of a run, or damaged: .*{message}'):
        load_state(tmp_path)
