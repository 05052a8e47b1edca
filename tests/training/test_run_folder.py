import multiprocessing

import pytest
from tiny_sets import write_yolo_set
from train_in import train_in

from mbv3zoo.training.run_folder import new_run, resumed_run
from mbv3zoo.utils.folders import claimed_folder


def test_a_new_run_gets_the_next_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with new_run(None) as first, new_run(None) as second:
        assert (first.as_posix(), second.as_posix()) == ('runs/train-1', 'runs/train-2')


def test_a_run_that_is_written_is_not_resumed(tmp_path):
    with claimed_folder(tmp_path / 'run') as folder:
        with pytest.raises(ValueError, match='run is being written by another process'), resumed_run(folder):
            pass
        with pytest.raises(ValueError, match='run is being written by another process'), new_run(folder):
            pass
        (folder / 'state.pt').write_text('')
    with resumed_run(folder):
        pass
    assert [path.name for path in folder.iterdir()] == ['state.pt']


def test_two_trainings_started_together_keep_both_results(tmp_path):
    data = write_yolo_set(tmp_path / 'shapes', {'train': 4, 'val': 2})
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['mbv3zoo.training.run'])
    barrier = context.Barrier(2)
    processes = [context.Process(target=train_in, args=(tmp_path, data, seed, barrier)) for seed in (1, 2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    runs = sorted((tmp_path / 'runs').iterdir())
    assert [run.name for run in runs] == ['train-1', 'train-2']
    for run in runs:
        assert sorted(path.name for path in run.iterdir()) == [
            'best', 'last', 'report', 'results.csv', 'results.png', 'run.yaml', 'state.pt', 'train_batch.png',
        ]  # fmt: skip
    seeds = {line for run in runs for line in (run / 'run.yaml').read_text().splitlines() if 'seed' in line}
    assert seeds == {'  seed: 1', '  seed: 2'}
