import pytest

from mbv3zoo import hub
from mbv3zoo.hub.arguments import cache_folder, check_revision, check_token


@pytest.mark.parametrize(
    'revision', [None, 'main', 'v1.0', 'refs/pr/1', 'a' * 40, 'größe', 'feature/x_y-z', '1', 'a@b']
)
def test_names_of_revisions(revision):
    check_revision(revision)


WRONG = [5, b'main', '', ' ', 'a b', '../up', '/main', 'main/', 'a//b', 'a..b', 'a~1', 'a^', 'a:b', 'a?', 'a*', 'a[b']
WRONG += ['a\\b', 'a\n', '\0', '\ud800', '.a', 'a/.b', '-a', 'a.', 'a.lock', 'a@{1}', 'a' * 201, ['main'], True, 1.5]


@pytest.mark.parametrize('revision', WRONG, ids=repr)
def test_no_revision(revision):
    with pytest.raises(ValueError, match='is not the name of a branch, tag or commit'):
        hub.pull('org/name', revision=revision)
    with pytest.raises(ValueError, match='is not the name of a branch, tag or commit'):
        check_revision(revision)


@pytest.mark.parametrize(
    'token', ['', 'secretü', 'secret\n', 'my secret', b'secret', 5, 'secret\0', ['secret'], '\ud800'], ids=repr
)
def test_no_token(token):
    with pytest.raises(ValueError, match='token') as caught:
        hub.pull('org/name', token=token)
    # Messages are kept in logs.
    assert 'secret' not in str(caught.value)


def test_tokens():
    for token in (None, True, False, 'hf_abcDEF019', 'eyJ.a-b_c=='):
        check_token(token)


@pytest.mark.parametrize('cache_dir', [5, b'\0', '\0', ['a'], '~nobody-of-that-name/x'], ids=repr)
def test_no_folder_of_the_cache(cache_dir):
    with pytest.raises(ValueError, match='cache_dir='):
        hub.pull('org/name', cache_dir=cache_dir)


def test_the_folder_of_the_cache_is_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cache_folder('cache') == tmp_path / 'cache'
    assert cache_folder(None).is_absolute()


@pytest.mark.parametrize('repo_id', [5, None, b'org/name', ['org/name'], ('org', 'name'), 'org/na\ud800me'], ids=repr)
def test_no_repository(repo_id):
    with pytest.raises(ValueError, match='neither an existing folder nor a Hub id'):
        hub.pull(repo_id)
