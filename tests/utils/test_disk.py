import errno
import os
import tempfile

import pytest

from mbv3zoo.utils.disk import (
    naming_file,
    naming_folder,
    naming_output,
    naming_read,
    sentence,
    temporary_folder,
    why,
)

NAMES = ('ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'ENAMETOOLONG', 'ENOTDIR', 'EMFILE', 'EIO', 'ESTALE')


def reported(name, *path):
    number = getattr(errno, name)
    return OSError(number, os.strerror(number), *map(str, path))


def broken(*arguments, **options):
    raise reported('ENOSPC')


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('naming', [naming_file, naming_folder, naming_read])
def test_an_error_becomes_one_sentence_of_its_kind_that_names_the_path(tmp_path, naming, name):
    with pytest.raises(OSError, match='could not') as caught, naming(tmp_path / 'a.bin'):
        raise reported(name, tmp_path / '.a.bin.tmp')
    text = str(caught.value)
    assert 'a.bin' in text and str(tmp_path) in text and '.tmp' not in text and '[Errno' not in text
    assert os.strerror(getattr(errno, name)) in text and '; ' in text and '\n' not in text
    assert caught.value.errno == getattr(errno, name) and type(caught.value) is type(caught.value.__cause__)


def test_a_full_disk_says_how_much_is_free_and_how_much_was_needed(tmp_path):
    said = r'the disk is full \(.*, \d+\.\d MB free, 2\.5 MB needed\); free some'
    with pytest.raises(OSError, match=said), naming_file(tmp_path / 'nowhere' / 'deeper' / 'a.bin', 2_500_000):
        raise reported('ENOSPC')


def test_a_sentence_stays_as_it_is_in_outer_contexts(tmp_path):
    with pytest.raises(PermissionError) as caught, naming_file(tmp_path / 'outer'), naming_read(tmp_path / 'inner'):
        raise reported('EACCES')
    assert 'inner' in str(caught.value) and 'outer' not in str(caught.value)
    assert sentence(caught.value) == str(caught.value)


def test_errors_that_nothing_has_told_name_their_path_and_others_stay(tmp_path):
    assert sentence(reported('EROFS', tmp_path / 'a')).startswith(f'{tmp_path}/a: the file system is read-only (')
    assert sentence(reported('ENOSPC')).startswith('the disk is full (')
    assert sentence(ConnectionError('no answer')) == 'no answer'
    assert sentence(OSError(9999, 'odd')) == '[Errno 9999] odd' and why(OSError(9999, 'odd')).startswith('odd; ')


def test_output_made_in_a_hidden_folder_is_named_as_the_user_did(tmp_path):
    hidden, path = tmp_path / '.staging', tmp_path / 'model.xml'
    hidden.mkdir()
    failed = f'could not write model.xml in the folder {tmp_path}: '
    for error in (reported('ENOSPC'), reported('EDQUOT', hidden / 'model.bin')):
        with pytest.raises(OSError, match='could not') as caught, naming_output(path, hidden):
            raise error
        assert str(caught.value).startswith(failed) and '.staging' not in str(caught.value)
    inner = naming_file(hidden / 'model.bin')
    with pytest.raises(OSError, match='could not') as caught, naming_output(path, hidden), inner:
        raise reported('ENOSPC')
    assert str(caught.value).startswith(failed) and '.staging' not in str(caught.value)
    # What else goes wrong meanwhile has an error of its own.
    for error in (reported('EIO', tmp_path / 'calibration.jpg'), ConnectionError('no answer'), KeyError('x')):
        with pytest.raises(type(error)) as other, naming_output(path, hidden):
            raise error
        assert other.value is error


def test_a_library_that_hides_a_full_disk_is_found_out_by_writing_a_little(tmp_path, monkeypatch):
    hidden = tmp_path / '.staging'
    hidden.mkdir()
    (hidden / 'model.bin').write_bytes(b'half')
    monkeypatch.setattr(os, 'fsync', broken)
    named = naming_output(tmp_path / 'model.xml', hidden)
    with pytest.raises(OSError, match=r'could not write model\.xml .* full') as caught, named:
        raise RuntimeError('basic_ios::clear: iostream error')
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_the_folder_for_temporary_files_is_named_with_its_variable(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    said = f'could not write to {tmp_path}, the folder for temporary files: the disk is full .* TMPDIR'
    with pytest.raises(OSError, match=said), temporary_folder() as folder:
        (folder / 'a').touch()
        raise reported('ENOSPC')
    assert not list(tmp_path.iterdir())
    with pytest.raises(KeyError), temporary_folder():
        raise KeyError('x')
    with monkeypatch.context() as patched:
        patched.setattr(os, 'fsync', broken)
        with pytest.raises(OSError, match=said), temporary_folder():
            raise RuntimeError('a library failed')
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path / 'missing'))
    with (
        pytest.raises(FileNotFoundError, match='missing, the folder for temporary files: .*TMPDIR'),
        temporary_folder(),
    ):
        pass


def test_without_any_folder_for_temporary_files_the_variable_is_told(monkeypatch):
    def none_usable():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, 'gettempdir', none_usable)
    said = 'no folder for temporary files can be written; set TMPDIR'
    with pytest.raises(FileNotFoundError, match=said), temporary_folder():
        pass
