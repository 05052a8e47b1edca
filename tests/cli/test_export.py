from program import run

from mbv3zoo.runtimes.table import FORMATS


def test_help_names_the_suffix_of_each_format():
    text = run('export', '--help').output
    assert len(FORMATS) >= 6 and all(f' {form.suffix}' in text for form in FORMATS.values())


def test_a_file_that_is_there_is_refused_before_the_model_is_looked_for(tmp_path):
    (tmp_path / 'model.onnx').write_text('mine')
    (tmp_path / 'other.onnx.json').write_text('mine too')
    for name, there in (('model.onnx', 'model.onnx'), ('other.onnx', 'other.onnx.json')):
        error = run('export', 'no-such-model', tmp_path / name, ok=False).exception
        assert f'{there} exists already' in str(error)
    assert 'cannot tell the format' in str(run('export', 'no-such-model', 'model.engine', ok=False).exception)
    assert 'no-such-model' in str(
        run('export', 'no-such-model', tmp_path / 'model.onnx', '--overwrite', ok=False).exception
    )
