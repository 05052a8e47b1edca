import errno
import os

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
