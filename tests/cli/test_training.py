import json
from pathlib import Path

import pytest
from PIL import Image
from program import run


def test_train_val_predict(tmp_path, scenes):
    out = tmp_path / 'run'
    size = ['--image-size', 64, '--batch-size', 4, '--workers', 0]
    output = run('train', '--data', scenes, '--model', 'mbv3_yolo_small_050', '--epochs', 1, *size, '--out', out).output
    assert 'AP50' in output and str(out) in output
    again = run('train', '--data', scenes, '--epochs', 1, '--out', out, ok=False)
    assert isinstance(again.exception, ValueError) and 'exists' in str(again.exception)

    run('val', out / 'best', '--data', scenes, '--workers', 0, '--out', tmp_path / 'report')
    assert json.loads((tmp_path / 'report' / 'metrics.json').read_text())['images'] == 3

    found = tmp_path / 'found'
    run('predict', out / 'last', scenes / 'images' / 'val', '--out', found, '--score-thresh', 0.001)
    rows = json.loads((found / 'predictions.json').read_text())
    assert [Path(row['path']).name for row in rows] == ['000000.jpg', '000001.jpg', '000002.jpg']
    for row in rows:
        with Image.open(found / row['drawn']) as drawn, Image.open(row['path']) as original:
            assert drawn.size == original.size
    again = run('predict', out / 'last', scenes / 'images' / 'val', '--out', found, ok=False)
    assert 'exists' in str(again.exception)


def test_train_needs_a_data_set_and_known_settings(scenes):
    assert '--data' in str(run('train', ok=False).exception)
    error = str(run('train', '--data', scenes, '--set', 'mosiac=1', ok=False).exception)
    assert "'mosiac'" in error and "'mosaic'" in error
    assert 'name=value' in str(run('train', '--data', scenes, '--set', 'mosaic', ok=False).exception)


@pytest.mark.parametrize('command', [['train'], ['val', 'mbv3_yolo_small.synth']])
def test_images_of_more_pixels_than_asked_for_are_left_out(tmp_path, scenes, command):
    options = ['--data', scenes, '--max-pixels', 100, '--out', tmp_path / 'out']
    assert 'more than 100; ' in str(run(*command, *options, ok=False).exception)
    assert not (tmp_path / 'out').exists()


def test_each_split_of_coco_files_has_its_own_image_folder(tmp_path, scenes):
    """The images of both splits have the same names."""
    files = {split: scenes / 'annotations' / f'{split}.json' for split in ('train', 'val')}
    splits = ['--data', files['train'], '--val-data', files['val'], '--preview', tmp_path / 'a.png', '--image-size', 64]
    images = ['--images', scenes / 'images/train', '--val-images']
    run('train', *splits, *images, scenes / 'images/val')
    error = str(run('train', *splits, *images, tmp_path, ok=False).exception)
    assert 'val.json: none of its 3 pictures can be read' in error


def test_preview_draws_a_batch_and_trains_nothing(tmp_path, monkeypatch, scenes):
    monkeypatch.chdir(tmp_path)
    options = ['--data', scenes, '--model', 'mbv3_yolo_small_050', '--image-size', 64]
    Path('batch.png').write_text('mine')
    # In the current folder, which is not empty; and in one that is made.
    assert run('train', *options, '--preview', 'batch.png').output.endswith('drawn in batch-2.png\n')
    run('train', *options, '--preview', 'look/batch.png')
    with Image.open('look/batch.png') as image:
        assert image.format == 'PNG' and min(image.size) > 300
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob('*') if path.is_file()} == {
        'batch.png', 'batch-2.png', 'look/batch.png',
    }  # fmt: skip
    assert Path('batch.png').read_text() == 'mine'


@pytest.fixture(scope='module')
def finished(tmp_path_factory, scenes):
    out = tmp_path_factory.mktemp('runs') / 'run'
    options = ['--model', 'mbv3_yolo_small_050', '--image-size', 64, '--batch-size', 4, '--workers', 0, '--epochs', 1]
    run('train', '--data', scenes, *options, '--out', out)
    return out


def test_a_finished_run_is_said_to_be_finished(finished):
    output = run('train', '--resume', finished).output
    assert output == f'{finished} is finished (1 epoch); --epochs N trains further\n'


def test_a_finished_run_is_extended(finished):
    output = run('train', '--resume', finished, '--epochs', 2, '--patience', 9).output
    assert '\n2/2 ' in output and f'saved in {finished}' in output
    assert 'is finished (2 epochs)' in run('train', '--resume', finished).output


@pytest.mark.parametrize(
    ('options', 'named'),
    [
        (['--data', 'data.yaml'], '--data'),
        (['--lr', 0.1], '--lr'),
        (['--epochs', 9, '--seed', 3], '--seed'),
        (['--pretrained'], '--pretrained'),
        (['--no-pretrained'], '--pretrained'),
        (['--out', 'x', '--set', 'epochs=9'], '--set, --out'),
        (['--preview', 'x.png'], '--preview'),
        (['--freeze', 0], '--freeze'),
    ],
)
def test_an_option_that_a_resumed_run_does_not_take_is_named(tmp_path, options, named):
    error = run('train', '--resume', tmp_path, *options, ok=False).exception
    assert str(error) == (
        f'--resume takes no {named}: the run keeps its settings, except for --epochs, --minutes, --patience, '
        '--workers, --threads, --cache'
    )


def test_a_folder_in_use_is_refused_before_data_and_model_are_looked_for(tmp_path):
    (tmp_path / 'notes.txt').write_text('mine')
    error = run('train', '--data', 'none.yaml', '--model', 'none', '--out', tmp_path, ok=False).exception
    assert 'results are never overwritten' in str(error)
