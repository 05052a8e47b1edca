"""Every writer of files that belong together is killed at every boundary: what then loads is the old or the new.

The harness is `helpers/killing.py`, the writers and readers are in `helpers/killed_writers.py`. Of the boundaries where
nothing is decided, a sixth is drawn, always the same; all are with MBV3ZOO_TEST_ALL=1.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from amount import sample
from exported_files import needs
from killed_writers import (
    read_evaluated,
    read_export,
    read_kept,
    read_new,
    read_package,
    read_save,
    read_synthetic,
    write_converted,
    write_evaluated,
    write_export,
    write_kept,
    write_package,
    write_pulled,
    write_save,
    write_synthetic,
)
from killing import KilledWriter

import mbv3zoo
from mbv3zoo.runtimes.table import FORMATS
from mbv3zoo.utils.packages import missing

# Where the decision falls, and where a set is put in place file by file.
DECISIVE = ('complete', 'os.rename')


def is_decisive(words):
    return any(part in words for part in DECISIVE)


def anywhere():
    return sample(1 / 6, always=is_decisive)


def both(found):
    """Some kills left the old, some the new."""
    return any(versions != {1} for versions in found) and {1} in found


def test_a_save_over_a_folder_that_is_killed_where_it_is_decided(tmp_path):
    assert both(KilledWriter(write_save, read_save, tmp_path).check(lambda words: 'complete' in words))


@pytest.mark.slow
def test_a_save_over_a_folder_that_is_killed_anywhere(tmp_path):
    killed = KilledWriter(write_save, read_save, tmp_path)
    # As long as a set is written in five files, each is opened, written and synced.
    assert len(killed.boundaries) > 20
    assert both(killed.check(anywhere()))


@pytest.mark.parametrize('name', ['openvino'])
def test_an_export_over_a_file_that_is_killed_where_it_is_decided(name, tmp_path):
    needs(name)
    assert both(KilledWriter(write_export, read_export, tmp_path, name).check(is_decisive))


@pytest.mark.slow
@pytest.mark.parametrize('name', ['openvino', 'ncnn', 'onnx', 'torchscript'])
@pytest.mark.parametrize('old', [True, False])
def test_an_export_that_is_killed_anywhere(name, old, tmp_path):
    needs(name)
    assert both(KilledWriter(write_export, read_export, tmp_path, name, old=old).check(anywhere()))


@pytest.mark.slow
def test_an_export_that_is_killed_again_while_the_next_one_puts_right_what_was_left(tmp_path):
    needs('openvino')
    some = sample(1 / 4, always=lambda words: 'complete' in words)
    killed = KilledWriter(write_export, read_export, tmp_path, 'openvino')
    killed.check_twice(lambda words: is_decisive(words) and some(words), 20)


@pytest.mark.slow
def test_a_conversion_that_is_killed_leaves_a_detector_or_none(tmp_path):
    assert both(KilledWriter(write_converted, read_new, tmp_path, old=False).check(anywhere()))


@pytest.mark.slow
def test_a_pull_that_is_killed_leaves_a_detector_or_none(tmp_path):
    (tmp_path / 'killing').mkdir()
    killed = KilledWriter(write_pulled, read_new, tmp_path / 'killing', str(tmp_path / 'sources'), old=False)
    assert both(killed.check(anywhere()))


def test_a_dataset_that_is_killed_while_it_is_made_is_not_there_and_leaves_nothing_for_ever(tmp_path):
    killed = KilledWriter(write_synthetic, read_synthetic, tmp_path, old=False)
    assert both(killed.check(lambda words: words.endswith(('.json', '1.jpg')) or 'rename' in words or 'rmdir' in words))


@pytest.mark.slow
def test_a_dataset_that_is_killed_anywhere(tmp_path):
    assert both(KilledWriter(write_synthetic, read_synthetic, tmp_path, old=False).check())


@pytest.mark.slow
def test_a_report_that_is_killed_leaves_the_old_figures_or_the_new(tmp_path):
    assert both(KilledWriter(write_evaluated, read_evaluated, tmp_path).check(anywhere()))


@pytest.mark.parametrize('which', ['some', pytest.param('all', marks=pytest.mark.slow)])
def test_a_graph_that_is_kept_while_the_process_is_killed_is_whole_or_not_there(which, tmp_path):
    killed = KilledWriter(write_kept, read_kept, tmp_path, old=False)
    assert any('remove' in words and 'entry.json' in words for words in killed.boundaries)
    assert both(killed.check(anywhere() if which == 'all' else is_decisive))


@pytest.mark.parametrize('name', ['openvino', 'ncnn'])
def test_whoever_opens_a_file_while_it_is_replaced_gets_one_export(name, tmp_path):
    needs(name)
    write_export(tmp_path, 0, name)
    with ThreadPoolExecutor(1) as pool:
        replaced = pool.submit(lambda: [write_export(tmp_path, index % 3, name) for index in range(12)])
        found = []
        while not replaced.done():
            opened = mbv3zoo.load(tmp_path / f'model{FORMATS[name].suffix}')
            (outputs,) = opened.session(np.zeros((1, 3, 64, 64), np.float32))
            found.append({int(outputs.min()), int(outputs.max()), int(opened.info.class_names[0][-1])})
        replaced.result()
    assert found and all(len(versions) == 1 for versions in found)


@pytest.mark.slow
def test_a_package_that_is_a_folder_is_replaced_as_one(tmp_path):
    if missing(FORMATS['coreml'].packages):
        pytest.skip('writing needs coremltools')
    assert both(KilledWriter(write_package, read_package, tmp_path).check(anywhere()))
