import json

import pytest
import torch
from PIL import Image
from program import run

from mbv3zoo.create import create_segmenter
from mbv3zoo.loading import load
from mbv3zoo.prediction.video import predict_video


def test_predict_without_drawing(tmp_path, scenes):
    out, images = tmp_path / 'found', scenes / 'images' / 'val'
    lines = run('predict', 'mbv3_yolo_small.synth', images, '--image-size', 96, '--no-draw', '--out', out).output
    assert [path.name for path in out.iterdir()] == ['predictions.json'] and str(out) in lines
    assert len(json.loads((out / 'predictions.json').read_text())) == 3
    options = ['--image-size', 96, '--no-draw', '--out', tmp_path / 'sure', '--score-thresh', 1, '--batch-size', 1]
    lines = run('predict', 'mbv3_yolo_small.synth', images, *options).output
    assert lines.count('nothing found') == 3


def test_images_of_more_pixels_than_asked_for_are_named_and_the_others_found(tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    for name, size in {'a.png': (64, 48), 'b.png': (640, 480), 'c.png': (64, 48)}.items():
        Image.new('RGB', size).save(folder / name)
    options = ['--image-size', 96, '--no-draw', '--max-pixels', 10_000]
    with pytest.warns(UserWarning, match=r'b\.png'):
        run('predict', 'mbv3_yolo_small.synth', folder, '--out', tmp_path / 'found', *options)
    rows = json.loads((tmp_path / 'found/predictions.json').read_text())
    errors = [row['error'] for row in rows]
    assert errors[0] is errors[2] is None and '640 x 480 = 307200 pixels, more than 10000;' in errors[1]
    failed = run('predict', 'mbv3_yolo_small.synth', folder / 'b.png', '--out', tmp_path / 'one', *options, ok=False)
    assert 'more than 10000' in str(failed.exception)


def test_a_video_of_more_pixels_than_asked_for_is_refused(tmp_path):
    pytest.importorskip('av')
    from clips import write_clip

    options = ['--image-size', 64, '--max-pixels', 1000, '--out', tmp_path / 'found']
    failed = run('predict', 'mbv3_yolo_small.synth', write_clip(tmp_path / 'a.mp4', 2), *options, ok=False)
    assert 'a.mp4: its frames of 64 x 48 have 3072 pixels, more than 1000' in str(failed.exception)


def test_predict_a_video_without_drawing(tmp_path):
    pytest.importorskip('av')
    from clips import write_clip

    options = ['--image-size', 64, '--no-draw', '--batch-size', 3]
    for suffix, codec in (('mp4', 'mpeg4'), ('flv', 'flv')):
        clip, out = write_clip(tmp_path / f'a.{suffix}', 7, codec=codec), tmp_path / suffix
        lines = run('predict', 'mbv3_yolo_small.synth', clip, *options, '--out', out).output
        assert '7 frames, ' in lines and [path.name for path in out.iterdir()] == ['predictions.jsonl']
        rows = [json.loads(line) for line in (out / 'predictions.jsonl').read_text().splitlines()]
        assert [row['index'] for row in rows] == list(range(7))


def test_options_of_videos_are_refused_for_images(scenes):
    images = scenes / 'images' / 'val'
    failed = run('predict', 'mbv3_yolo_small.synth', images, '--stride', 2, '--max-frames', 3, ok=False)
    assert '--stride, --max-frames: for videos, cameras and streams only' in str(failed.exception)


def test_a_stream_ends_after_so_many_frames(tmp_path):
    pytest.importorskip('av')
    from stream_servers import picture_stream

    with picture_stream(frames=1000, pause=0.002) as address:
        options = ['--image-size', 64, '--out', tmp_path / 'out', '--stride', 2, '--max-frames', 3]
        lines = run('predict', 'mbv3_yolo_small.synth', address, *options).output
    assert '3 frames' in lines and (tmp_path / 'out' / 'video.mp4').exists()
    rows = [json.loads(line) for line in (tmp_path / 'out' / 'predictions.jsonl').read_text().splitlines()]
    assert len(rows) == 3 and all(row['index'] % 2 == 0 and row['path'] == address for row in rows)


def test_classes_labels_and_crops(tmp_path, scenes):
    image, out = sorted((scenes / 'images' / 'val').iterdir())[0], tmp_path / 'out'
    options = ['--score-thresh', 0.01, '--max-detections', 2, '--no-draw', '--agnostic-nms', '--out', out]
    wanted = ['--classes', 'arrow,ball', '--classes', 'fish', '--classes', 7]
    run('predict', 'mbv3_yolo_small.synth', image, *options, *wanted, '--save-txt', '--save-conf', '--save-crop')
    (row,) = json.loads((out / 'predictions.json').read_text())
    assert len(row['detections']) == 2 == len(row['crops'])
    assert {one['name'] for one in row['detections']} <= {'arrow', 'ball', 'fish', 'gear'}
    lines = (out / row['labels']).read_text().splitlines()
    assert [int(line.split()[0]) for line in lines] == [one['label'] for one in row['detections']]
    assert all(len(line.split()) == 6 for line in lines)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--classes', 'hart'], "unknown class 'hart'; did you mean heart"),
        (['--classes', 'cat,99'], "unknown class 'cat'"),
        (['--label-studio-root', '.'], '--label-studio-root is for the tasks of --label-studio'),
        (['--label-studio', '--label-studio-root', 'elsewhere'], 'from which Label Studio is to serve it'),
        (['--save-conf'], '--save-conf adds the scores to the files of --save-txt'),
    ],
)
def test_options_that_mean_nothing_leave_no_folder(tmp_path, scenes, options, message):
    out = tmp_path / 'out'
    failed = run('predict', 'mbv3_yolo_small.synth', scenes / 'images' / 'val', *options, '--out', out, ok=False)
    assert message in str(failed.exception) and not out.exists()


def test_labels_and_crops_are_of_images_only(tmp_path):
    pytest.importorskip('av')
    from clips import write_clip

    clip = write_clip(tmp_path / 'a.mp4', 2)
    failed = run('predict', 'mbv3_yolo_small.synth', clip, '--save-txt', '--save-crop', '--slice', 640, ok=False)
    assert '--save-txt, --save-crop, --slice: for images only' in str(failed.exception)


@pytest.mark.parametrize(
    ('source', 'advice'),
    [('https://host/a.jpg', 'curl -LO'), ('file:///a/b.mp4', 'give the path: /a/b.mp4'), ('s3://b/c.mp4', 'aws s3 cp')],
)
def test_addresses_are_refused_before_anything_is_opened_or_made(tmp_path, source, advice):
    failed = run('predict', 'no/such_detector', source, '--out', tmp_path / 'out', ok=False)
    assert advice in str(failed.exception) and source in str(failed.exception) and not list(tmp_path.iterdir())


def test_a_second_run_into_one_folder_says_how_to_go_on(tmp_path, scenes, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = sorted((scenes / 'images' / 'val').iterdir())[0]
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'a.txt').touch()
    failed = run('predict', 'mbv3_yolo_small.synth', image, '--out', 'mine', ok=False)
    assert 'Choose another folder, or none: then the next free one is taken, runs' in str(failed.exception)


@pytest.fixture(scope='module')
def segmenter(tmp_path_factory):
    torch.manual_seed(0)
    model = create_segmenter('mbv3_yolo_small_050', class_names=['background', 'cat', 'dog'], image_size=64)
    return model.save_pretrained(tmp_path_factory.mktemp('segmenter') / 'cats')


def test_a_segmenter_writes_images_masks_and_shares(tmp_path, scenes, segmenter):
    out, images = tmp_path / 'found', scenes / 'images' / 'val'
    lines = run('predict', segmenter, images, '--out', out).output
    assert '% ' in lines and lines.strip().endswith(f'3 pictures; results in {out}')
    rows = json.loads((out / 'predictions.json').read_text())
    for row in rows:
        with Image.open(out / row['masks']) as mask, Image.open(out / row['drawn']) as drawn:
            assert mask.mode == 'P' and mask.size == drawn.size == (row['image_size']['width'], mask.height)
            assert sum(one['share'] for one in row['classes']) == pytest.approx(1)
    assert (out / 'masks/classes.txt').read_text().split() == ['background', 'cat', 'dog']


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--score-thresh', 0.3, '--iou-thresh', 0.5], '--score-thresh, --iou-thresh: of detectors only'),
        (['--max-detections', 5, '--agnostic-nms'], '--max-detections, --agnostic-nms: of detectors'),
        (['--classes', 'cat'], '--classes: of detectors only, and this model is a segmenter; leave it out'),
        (['--save-txt'], '--save-txt: of detectors only'),
        (['--save-crop', '--label-studio'], '--save-crop, --label-studio: of detectors only'),
    ],
)
def test_options_of_detectors_are_refused_for_a_segmenter(tmp_path, scenes, segmenter, options, message):
    failed = run('predict', segmenter, scenes / 'images/val', '--out', tmp_path / 'found', *options, ok=False)
    assert message in str(failed.exception) and not (tmp_path / 'found').exists()


def test_a_segmenter_draws_a_video_and_does_not_track(tmp_path, segmenter):
    frames = [Image.new('RGB', (64, 48), (shade, shade, 0)) for shade in (0, 80, 200)]
    frames[0].save(tmp_path / 'a.gif', save_all=True, append_images=frames[1:], duration=100)
    lines = run('predict', segmenter, tmp_path / 'a.gif', '--out', tmp_path / 'found', '--no-draw').output
    assert lines.strip().endswith(f'3 frames; results in {tmp_path / "found"}')
    rows = [json.loads(line) for line in (tmp_path / 'found/predictions.jsonl').read_text().splitlines()]
    assert [row['classes'][0]['share'] > 0 for row in rows] == [True] * 3
    with pytest.raises(ValueError, match='^track: of detectors only'):
        predict_video(load(segmenter), tmp_path / 'a.gif', track=True)


def test_tiles_of_a_large_image(tmp_path, scenes):
    pytest.importorskip('supervision')
    image = next((scenes / 'images' / 'val').iterdir())
    with Image.open(image) as picture:
        large = Image.new('RGB', (4 * picture.width, 2 * picture.height), (114, 114, 114))
        large.paste(picture, (3 * picture.width, picture.height))
    large.save(tmp_path / 'large.png')
    options = ['--image-size', 96, '--no-draw', '--slice', 96, '--overlap', 0.5, '--slice-only']
    run('predict', 'mbv3_yolo_small.synth', tmp_path / 'large.png', '--out', tmp_path / 'found', *options)
    (row,) = json.loads((tmp_path / 'found/predictions.json').read_text())
    detector = load('mbv3_yolo_small.synth')
    expected = detector.predict(tmp_path / 'large.png', slice=96, overlap=0.5, slice_only=True, image_size=96)
    boxes = torch.tensor([found['box'] for found in row['detections']])
    torch.testing.assert_close(boxes, expected.boxes, rtol=0, atol=0.1)
    failed = run('predict', 'mbv3_yolo_small.synth', tmp_path / 'large.png', '--overlap', 0.5, ok=False)
    assert 'overlap and slice_only are for slice' in str(failed.exception)
