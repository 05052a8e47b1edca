from program import run


def test_pull_from_a_folder_makes_the_same_detector(tmp_path, saved):
    run('pull', saved, tmp_path / 'copy')
    for name in ('config.json', 'model.safetensors', 'detector.safetensors', 'README.md'):
        assert (tmp_path / 'copy' / name).read_bytes() == (saved / name).read_bytes()
    assert 'exists' in str(run('pull', saved, tmp_path / 'copy', ok=False).exception)
