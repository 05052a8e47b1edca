from mbv3zoo.benchmark import waiting


def test_adds_up_all_threads_and_leaves_out_those_that_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(waiting, '_TASKS', tmp_path)
    for name, text in (('1', '5000 1000000000 7\n'), ('2', '9 500000000 1\n')):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'schedstat').write_text(text)
    (tmp_path / '3').mkdir()
    assert waiting.find_clock()() == 1.5


def test_systems_that_do_not_tell(tmp_path, monkeypatch):
    monkeypatch.setattr(waiting, '_TASKS', tmp_path / 'none')
    assert waiting.find_clock() is None
