import pytest

from mbv3zoo.utils.folders import check_new_folder, next_folder


def test_new_and_empty_folders_are_free(tmp_path):
    check_new_folder(tmp_path / 'new')
    check_new_folder(str(tmp_path / 'deep' / 'new'))
    (tmp_path / 'empty').mkdir()
    check_new_folder(tmp_path / 'empty')
    assert not (tmp_path / 'new').exists()


@pytest.mark.parametrize('content', ['a.txt', '.hidden'])
def test_a_folder_in_use_is_refused(tmp_path, content):
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run' / content).write_text('mine')
    with pytest.raises(ValueError, match='run exists; results are never overwritten'):
        check_new_folder(tmp_path / 'run')


def test_a_file_is_refused(tmp_path):
    (tmp_path / 'run').write_text('')
    with pytest.raises(ValueError, match='run exists'):
        check_new_folder(str(tmp_path / 'run'))


def test_next_folder_counts_on(tmp_path):
    assert next_folder(tmp_path, 'train') == tmp_path / 'train-1'
    assert next_folder(tmp_path / 'runs', 'train') == tmp_path / 'runs' / 'train-1'
    (tmp_path / 'train-1').mkdir()
    (tmp_path / 'train-2').write_text('a file counts too')
    assert next_folder(str(tmp_path), 'train') == tmp_path / 'train-3'
    assert next_folder(tmp_path, 'predict') == tmp_path / 'predict-1'
