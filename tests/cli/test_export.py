import pytest
from program import run

from mbv3zoo.export.certificate import read_certificate
from mbv3zoo.runtimes.table import FORMATS


def test_help_names_the_suffix_of_each_format():
    text = run('export', '--help').output
    assert len(FORMATS) >= 6 and all(f' {form.suffix}' in text for form in FORMATS.values())


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        (['--nms', '--score-thresh', '25'], 'score_thresh is 25.0; expected a number in 0..1'),
        (['--nms', '--score-thresh', '1'], 'no score is above that'),
        (['--nms', '--score-thresh', 'nan'], 'score_thresh is nan'),
        (['--nms', '--iou-thresh', '3'], 'iou_thresh is 3.0; expected a number in 0..1'),
        (['--batch-size', '0'], 'batch_size is 0; expected at least 1'),
        (['--image-size', '100'], 'image_size must be multiples of 32'),
        (['--tolerance', '0'], 'tolerance is 0.0; expected a number above 0'),
        (['--precision', 'int4'], "onnx files cannot be 'int4'"),
        (['--precision', 'int8'], 'int8 needs calibration'),
        (['--data', ''], "data is ''"),
    ],
)
def test_what_cannot_be_is_told_before_the_model_is_looked_for(tmp_path, options, expected):
    error = run('export', 'no-such-model', tmp_path / 'm.onnx', *options, ok=False).exception
    assert isinstance(error, ValueError) and expected in str(error)


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


def test_an_architecture_is_exported_for_timing_and_said_to_be_untrained(tmp_path, caplog):
    text = run('export', 'mbv3_yolo_small_050', tmp_path / 'm.torchscript', '--image-size', 64).output
    assert 'random weights, for timing only' in text and 'm.torchscript: the weights are random' in caplog.text
    assert read_certificate(tmp_path / 'm.torchscript').untrained
    # What would show detections is refused, with what to do.
    for command in (['predict', 'resnet18', 'a.jpg'], ['val', 'mbv3_yolo_small', '--data', 'data.yaml']):
        error = str(run(*command, ok=False).exception)
        assert 'names an architecture: train it first (mbv3zoo train' in error and 'mbv3_yolo_small.synth' in error
