import json
import multiprocessing
import random
import re
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from amount import amount
from PIL import Image
from tiny_sets import CLASS_NAMES, write_yolo_set

from mbv3zoo.config.license_record import LicenseRecord
from mbv3zoo.config.training import DataConfig, RunConfig, TrainConfig
from mbv3zoo.create import create_detector
from mbv3zoo.detector import Detector
from mbv3zoo.training import run
from mbv3zoo.training import trainer as trainer_module
from mbv3zoo.training.checkpoint import load_state, save_state
from mbv3zoo.training.pace import Pace


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_yolo_set(tmp_path_factory.mktemp('tiny') / 'shapes', {'train': 12, 'val': 4})


def config_of(data, train=(), **settings):
    defaults = {'epochs': 1, 'batch_size': 6, 'auxiliary_gain': 0, 'workers': 0}
    return RunConfig(
        data=DataConfig(data=str(data)),
        train=TrainConfig(**(defaults | dict(train))),
        **({'model': 'mbv3_yolo_small_050', 'image_size': 64} | settings),
    )


def weights(folder):
    return (folder / 'last/model.safetensors').read_bytes()


@pytest.fixture(scope='module')
def done(data, tmp_path_factory):
    """A run of one epoch, and its metrics."""
    torch.manual_seed(123)
    folder = tmp_path_factory.mktemp('runs') / 'a' / 'b'
    return folder, run.start(config_of(data), folder)


def test_the_first_process_of_a_machine_reads_before_the_others(data, tmp_path, monkeypatch):
    order = []

    @contextmanager
    def first():
        order.append('first')
        yield

    def read(*_):
        order.append('read')
        raise ValueError('enough')

    monkeypatch.setattr(run, 'process_state', lambda: SimpleNamespace(local_main_process_first=first))
    monkeypatch.setattr(run, 'load_data', read)
    with pytest.raises(ValueError, match='enough'):
        run.start(config_of(data), tmp_path / 'run')
    assert order == ['first', 'read']


def test_training_in_tiles(tmp_path, caplog, monkeypatch):
    pytest.importorskip('supervision')
    large = write_yolo_set(tmp_path / 'large', {'train': 3, 'val': 2}, (200, 160))
    config = config_of(large, {'slice': 96, 'cache': 'memory', 'augmentation': 'none'}, recipe='none')
    with caplog.at_level('INFO'):
        trainer = run._trainer(config, tmp_path / 'run', resume=False)
    assert re.search(
        r'3 pictures are cut into \d+ tiles of 96 x 96 pixels, \d+ of them without objects$', caplog.text, re.M
    )
    samples = trainer.learner.samples
    # Twelve tiles of each picture, and the picture itself.
    assert 20 < len(samples) <= 3 * 13 and {own.tile.image_size for own in samples.records} == {(160, 200)}
    assert {own.size for own in samples.records} == {(96, 96), (160, 200)}
    assert all(tuple(samples[i][0].shape) == (3, 64, 64) for i in range(0, len(samples), 7))
    real, seen = trainer_module.evaluate_together, []
    monkeypatch.setattr(
        trainer_module, 'evaluate_together', lambda *args, **own: seen.append(own['slicing']) or real(*args, **own)
    )
    trainer.fit()
    # After the epoch, and of the best for the report.
    assert [slicing.size for slicing in seen] == [(96, 96), (96, 96)]
    with pytest.raises(ValueError, match='overlap and slice_only are for slice'):
        TrainConfig.parse({'overlap': 0.3})
    drawn = run.preview(config, tmp_path / 'batch.png')
    assert drawn.is_file()


def test_a_run_from_its_settings(data, done):
    folder, metrics = done
    assert sorted(path.name for path in folder.iterdir()) == [
        'best', 'last', 'report', 'results.csv', 'results.png', 'run.yaml', 'state.pt', 'train_batch.png',
    ]  # fmt: skip
    assert metrics.images == 4
    detector = Detector.from_pretrained(folder / 'last')
    assert detector.config.class_names == CLASS_NAMES and detector.config.image_size == (64, 64)
    assert detector.config.backbone == 'mbv3_yolo_small_050'
    card = (folder / 'last/README.md').read_text()
    assert 'mbv3zoo train' in card


def test_licences_of_weights_and_data_are_recorded_and_survive_a_resumption(data, tmp_path):
    start = create_detector('mbv3_yolo_small_050', class_names=CLASS_NAMES, image_size=64)
    parts = {'backbone': 'none', 'imported': {'license': 'agpl-3.0', 'source': 'yolov5n.pt'}}
    start.config = start.config.model_copy(update={'licenses': LicenseRecord.parse(parts)})
    config = config_of(data, model=str(start.save_pretrained(tmp_path / 'start')), pretrained=True)
    config = config.model_copy(update={'data': DataConfig(data=str(data), license='cc-by-4.0')})
    run.start(config, tmp_path / 'run')
    expected = LicenseRecord.parse({**parts, 'data': {'license': 'cc-by-4.0', 'source': data.parent.name}})
    assert Detector.from_pretrained(tmp_path / 'run/best').config.licenses == expected

    settings = tmp_path / 'run/run.yaml'
    settings.write_text(settings.read_text().replace('epochs: 1', 'epochs: 2', 1))
    run.resume(tmp_path / 'run')
    assert load_state(tmp_path / 'run')['epoch'] == 2
    for name in ('last', 'best'):
        assert Detector.from_pretrained(tmp_path / 'run' / name).config.licenses == expected
    card = (tmp_path / 'run/best/README.md').read_text()
    assert 'license: agpl-3.0' in card and 'predictions.png' in card and '| epochs | 2 |' in card


def test_run_yaml_holds_all_settings(data, done):
    text = (done[0] / 'run.yaml').read_text()
    content = yaml.safe_load(text)
    # What was left open is said.
    assert RunConfig.parse(content) == config_of(data, pretrained=False)
    assert content['data']['data'] == str(data) and content['model'] == 'mbv3_yolo_small_050'
    # All of them, so that a later version's defaults change nothing on resuming.
    assert set(content['train']) == set(TrainConfig.model_fields)


def test_the_seed_decides_the_first_weights_too(data, done, tmp_path):
    torch.manual_seed(456)
    run.start(config_of(data), str(tmp_path / 'same'))
    assert weights(tmp_path / 'same') == weights(done[0])
    run.start(config_of(data, {'seed': 1}), tmp_path / 'other')
    assert weights(tmp_path / 'other') != weights(done[0])


def test_a_finished_run_is_left_as_it_is(done):
    before = {path: path.read_bytes() for path in done[0].rglob('*') if path.is_file()}
    assert run.resume(str(done[0])) is None
    assert before == {path: path.read_bytes() for path in done[0].rglob('*') if path.is_file()}


def test_resuming_nothing_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / 'none'):
        with pytest.raises(ValueError, match=r'no run to resume; run\.yaml is not there'):
            run.resume(folder)


def test_a_damaged_run_yaml_is_named(tmp_path):
    (tmp_path / 'run.yaml').write_text('data: {data: x.yaml}\ntrain: {epochz: 3}\n')
    with pytest.raises(ValueError, match=r"run\.yaml.*epochz.*did you mean 'epochs'"):
        run.resume(tmp_path)
    for text in ('', '- a', '{'):
        (tmp_path / 'run.yaml').write_text(text)
        with pytest.raises(ValueError, match=r'run\.yaml'):
            run.resume(tmp_path)


def test_a_folder_in_use_is_refused_before_anything_else(done):
    with pytest.raises(ValueError, match='exists; results are never overwritten'):
        run.start(config_of('no/such/data.yaml'), done[0])


def test_bad_settings_leave_no_folder(data, tmp_path):
    with pytest.raises(ValueError, match='no such data set file'):
        run.start(config_of(tmp_path / 'none.yaml'), tmp_path / 'run')
    with pytest.raises(ValueError, match='mbv3_yolo_smal'):
        run.start(config_of(data).model_copy(update={'model': 'mbv3_yolo_smal'}), tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_stopped_in_its_first_epoch_a_run_starts_anew(data, done, tmp_path, monkeypatch):
    folder = tmp_path / 'run'

    def stop(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr('mbv3zoo.training.trainer.save_state', stop)
        with pytest.raises(KeyboardInterrupt):
            run.start(config_of(data), folder)
    assert (folder / 'last').exists() and not (folder / 'state.pt').exists()
    assert run.resume(folder) is not None
    assert weights(folder) == weights(done[0])


def test_a_run_that_says_assigner_as_before_goes_on_as_it_began(data, tmp_path, monkeypatch):
    config = config_of(data, {'epochs': 2, 'loss': 'yolov5'})
    run.start(config, tmp_path / 'whole')
    settings = tmp_path / 'stopped/run.yaml'

    def save_once(folder, state):
        if state['epoch'] == 2:
            raise KeyboardInterrupt
        save_state(folder, state)

    with monkeypatch.context() as patch:
        patch.setattr('mbv3zoo.training.trainer.save_state', save_once)
        with pytest.raises(KeyboardInterrupt):
            run.start(config, settings.parent)
    assert load_state(settings.parent)['epoch'] == 1
    assert '\n  loss: yolov5\n' in settings.read_text()
    settings.write_text(settings.read_text().replace('\n  loss: yolov5\n', '\n  assigner: shape\n'))
    run.resume(settings.parent)
    assert weights(settings.parent) == weights(settings.parent.parent / 'whole')
    assert '| loss | yolov5 |' in (settings.parent / 'last/README.md').read_text()


def test_load_data(data, tmp_path):
    train_set, val_set = run.load_data(DataConfig(data=str(data.parent)))
    assert (len(train_set), len(val_set)) == (12, 4)
    other = write_yolo_set(tmp_path / 'other', {'val': 3})
    assert len(run.load_data(DataConfig(data=str(data), val_data=str(other)))[1]) == 3
    with pytest.raises(ValueError, match=r'x\.json is one split; name the COCO \.json of the validation split too'):
        run.load_data(DataConfig(data='x.json'))


def test_images_of_more_pixels_than_a_run_allows_are_left_out_of_both_splits(data, tmp_path):
    config = run.run_config(
        data, model=None, pretrained=None, image_size=None, val_data=None, images=None, data_license=None,
        max_pixels=10,
    )  # fmt: skip
    assert config.data.max_pixels == 10 and RunConfig.parse(config.model_dump(mode='json')) == config
    with pytest.raises(ValueError, match=r'more than 10; .*max_pixels'):
        run.load_data(config.data)
    with pytest.raises(ValueError, match='max_pixels'):
        DataConfig(data='a', max_pixels=0)


@pytest.fixture
def coco_layout(tmp_path):
    """Two splits whose images have one name."""
    for split, place in (('train', 'train2017'), ('val', 'far/val')):
        (tmp_path / place).mkdir(parents=True)
        Image.new('RGB', (80, 60)).save(tmp_path / place / '000000.png')
        content = {
            'images': [{'id': 1, 'file_name': '000000.png'}],
            'annotations': [{'id': 1, 'image_id': 1, 'category_id': 9, 'bbox': [5, 5, 40, 40]}],
            'categories': [{'id': 9, 'name': 'thing'}],
        }
        (tmp_path / 'annotations').mkdir(exist_ok=True)
        (tmp_path / f'annotations/instances_{split}2017.json').write_text(json.dumps(content))
    return tmp_path


@pytest.mark.parametrize('as_files', [True, False])
def test_the_image_folder_of_the_training_split_is_never_that_of_validation(coco_layout, as_files):
    train, val = (str(coco_layout / f'annotations/instances_{split}2017.json') for split in ('train', 'val'))
    places = {'data': train, 'val_data': val} if as_files else {'data': str(coco_layout)}
    images = str(coco_layout / 'train2017')
    with pytest.raises(ValueError, match=r'val2017\.json: 000000\.png is in none of .*--val-images'):
        run.load_data(DataConfig(**places, images=images))
    found = run.load_data(DataConfig(**places, images=images, val_images=str(coco_layout / 'far/val')))
    assert [data.records[0].path.parent.name for data in found] == ['train2017', 'val']
    (coco_layout / 'far/val').rename(coco_layout / 'val2017')
    for more in ({}, {'images': images}):
        found = run.load_data(DataConfig(**places, **more))
        assert [data.records[0].path.parent.name for data in found] == ['train2017', 'val2017']


def test_both_image_folders_are_settings_of_a_run(coco_layout):
    config = run.run_config(
        'a.json', model=None, pretrained=None, image_size=None, val_data='b.json', images='a', val_images='b',
        data_license=None,
    )  # fmt: skip
    assert (config.data.images, config.data.val_images) == ('a', 'b')


def test_splits_of_other_classes_are_refused_before_the_model_is_built(data, tmp_path, monkeypatch):
    other = write_yolo_set(tmp_path / 'other', {'val': 1})
    other.write_text(other.read_text().replace('- disc', '- ring'))
    monkeypatch.setattr(run, 'create_model', lambda *_, **__: pytest.fail('built'))
    config = config_of(data).model_copy(update={'data': DataConfig(data=str(data), val_data=str(other))})
    with pytest.raises(ValueError, match=r"other/data\.yaml: the validation split .*added: 'ring', removed: 'disc'"):
        run.start(config, tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_coco_files(data, tmp_path):
    paths = {}
    for split in ('train', 'val'):
        images = sorted((data.parent / 'images' / split).iterdir())
        content = {
            'images': [{'id': i, 'file_name': path.name} for i, path in enumerate(images)],
            'annotations': [{'id': 1, 'image_id': 0, 'category_id': 9, 'bbox': [5, 5, 40, 40]}],
            'categories': [{'id': 9, 'name': 'thing'}],
        }
        (data.parent / 'annotations').mkdir(exist_ok=True)
        paths[split] = data.parent / f'annotations/{split}.json'
        paths[split].write_text(json.dumps(content))
    config = config_of(paths['train'])
    config = config.model_copy(update={'data': DataConfig(data=str(paths['train']), val_data=str(paths['val']))})
    assert run.start(config, tmp_path / 'run').objects == 1
    assert Detector.from_pretrained(tmp_path / 'run/last').config.class_names == ('thing',)


def killed(context, target, args, folder, seconds):
    """Runs a training in a process of its own and kills it some time after it has begun."""
    process = context.Process(target=target, args=args)
    process.start()
    begun = time.monotonic()
    while process.is_alive() and not (folder / 'run.yaml').exists() and time.monotonic() - begun < 300:
        time.sleep(0.02)
    process.join(seconds)
    process.kill()
    process.join()
    return process.exitcode


def check_kills(data, tmp_path, kills, seconds):
    config = config_of(data, {'epochs': 4, 'mosaic_off_epochs': 1, 'batch_size': 4})
    whole, folder = tmp_path / 'whole', tmp_path / 'killed'
    start = time.monotonic()
    run.start(config, whole)
    seconds = seconds or time.monotonic() - start
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['mbv3zoo.training.run'])
    codes, waits = [], []
    for i in range(kills):
        waits.append(random.uniform(0, seconds))
        target, args = (run.start, (config, folder)) if i == 0 else (run.resume, (folder,))
        codes.append(killed(context, target, args, folder, waits[-1]))
        assert codes[-1] in (0, -9), (codes, waits)
        for name in ('last', 'best'):
            if (folder / name / 'detector.safetensors').exists():
                Detector.from_pretrained(folder / name)
        if (folder / 'state.pt').exists():
            assert 1 <= load_state(folder)['epoch'] <= 4
    run.resume(folder)
    assert weights(folder) == weights(whole), waits
    assert (folder / 'best/model.safetensors').read_bytes() == (whole / 'best/model.safetensors').read_bytes(), waits
    rows = [[line.split(',')[:1] + line.split(',')[3:] for line in (path / 'results.csv').read_text().splitlines()]
            for path in (folder, whole)]  # fmt: skip
    assert rows[0] == rows[1] and len(rows[0]) == 5, waits


def test_killed_at_a_random_moment_and_resumed_a_run_ends_the_same(data, tmp_path):
    check_kills(data, tmp_path, kills=1, seconds=None)


@pytest.mark.slow
def test_killed_again_and_again(data, tmp_path):
    check_kills(data, tmp_path, kills=amount(4, 8), seconds=None)


def test_a_run_is_resumed_from_another_folder(data, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(data).parent)
    run.start(config_of('data.yaml'), tmp_path / 'run')
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'run' / 'run.yaml'
    path.write_text(path.read_text().replace('epochs: 1\n', 'epochs: 2\n'))
    run.resume('run')
    assert len((tmp_path / 'run' / 'results.csv').read_text().splitlines()) == 3


def test_run_yaml_holds_places_that_are_found_from_anywhere(data, tmp_path, monkeypatch):
    monkeypatch.chdir(data.parent)
    absolute = run._with_absolute_paths(config_of(Path('data.yaml'))).data.data
    assert Path(absolute) == data.resolve()
    assert run._absolute('hub:organisation/name@v1.0') == 'hub:organisation/name@v1.0'
    assert run._absolute(f'hub:{data.parent.name}') != f'hub:{data.parent.resolve()}'
    monkeypatch.chdir(data.parent.parent)
    assert run._absolute(f'hub:{data.parent.name}') == f'hub:{data.parent.resolve()}'


def test_the_time_that_reading_the_data_takes_counts_as_time_of_the_run(data, tmp_path, monkeypatch):
    config, detector = config_of(data, {'minutes': 10}), create_detector('mbv3_yolo_small_050', device='meta')
    clock = iter([100.0, 160.0])
    monkeypatch.setattr(run, 'monotonic', lambda: next(clock))
    trainer = SimpleNamespace(
        config=config.train,
        pace=Pace(config.train),
        fit=lambda: trainer.pace.used(),
        learner=SimpleNamespace(kept=detector),
    )
    monkeypatch.setattr(run, '_trainer', lambda *args, **options: trainer)
    assert 60 <= run.start(config, tmp_path / 'run') < 61


@pytest.mark.parametrize(
    ('model', 'settings', 'message'),
    [
        ('mbv3_yolo_small', {'dice_gain': 1}, 'dice_gain: without effect on a detector; leave it out'),
        (None, {'dice_gain': 1}, 'without effect on a detector'),
        ('mbv3_lraspp_small', {'mixup': 0.5, 'anchors': 'fit'}, 'anchors, mixup: without effect on a segmenter'),
    ],
)
def test_a_setting_of_another_task_is_refused(model, settings, message):
    nothing = dict.fromkeys(('pretrained', 'image_size', 'val_data', 'images', 'data_license'))
    with pytest.raises(ValueError, match=message):
        run.run_config('data.yaml', model=model, **nothing, **settings)


@pytest.fixture(scope='module')
def taught(data, done, tmp_path_factory):
    """A run of two epochs with the detector of another run as its teacher."""
    folder = tmp_path_factory.mktemp('runs') / 'taught'
    train = {'teacher': str(done[0] / 'last'), 'epochs': 2}
    run.start(config_of(data, train), folder)
    return folder


def test_a_run_with_a_teacher_tells_its_loss_and_records_it(data, done, taught):
    header, *rows = (taught / 'results.csv').read_text().splitlines()
    values = [float(row.split(',')[header.split(',').index('teacher')]) for row in rows]
    assert len(values) == 2 and all(value > 0 for value in values)
    config = Detector.from_pretrained(taught / 'last').config
    assert config.licenses.data[-1].source == f'teacher {done[0] / "last"}'
    assert Path(yaml.safe_load((taught / 'run.yaml').read_text())['train']['teacher']).is_absolute()


def test_a_run_with_a_teacher_goes_on_to_the_same_bits(data, done, taught, tmp_path):
    train = {'teacher': str(done[0] / 'last'), 'epochs': 2}
    folder = tmp_path / 'stopped'
    trainer = run._trainer(config_of(data, train), folder, resume=False)
    folder.mkdir()
    run.write_run_config(config_of(data, train), folder)
    trainer.last_epoch = 1
    trainer.fit()
    run.resume(folder)
    assert weights(folder) == weights(taught)


def test_a_teacher_that_is_not_there_ends_the_run_before_it_begins(data, tmp_path):
    with pytest.raises(ValueError, match='^teacher: '):
        run.start(config_of(data, {'teacher': str(tmp_path / 'none')}), tmp_path / 'run')
    assert not (tmp_path / 'run').exists()
