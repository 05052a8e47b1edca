import dataclasses
import logging

import pytest
import torch
from accelerate.state import AcceleratorState
from labelled import NAMES, record
from tiny_sets import CLASS_NAMES, write_yolo_set

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.create import create_detector
from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.load import load_dataset
from mbv3zoo.training.prepare import check_data, create_accelerator, precision, prepare_backbone, warn_of_lr


def detector_of(**options):
    settings = {'class_names': CLASS_NAMES, 'image_size': 64} | options
    return create_detector('mbv3_yolo_small_050', **settings)


def test_what_fits_passes_and_what_does_not_is_named(tmp_path):
    train_set = load_dataset(write_yolo_set(tmp_path, {'train': 2, 'val': 1}), 'train')
    check_data(detector_of(), train_set, None)
    check_data(detector_of(in_chans=1), train_set, train_set)
    with pytest.raises(ValueError, match='the order differs'):
        check_data(detector_of(), train_set, dataclasses.replace(train_set, class_names=CLASS_NAMES[::-1]))
    with pytest.raises(ValueError, match='none of the 0 training pictures has a label'):
        check_data(detector_of(), dataclasses.replace(train_set, records=[]), train_set)
    with pytest.raises(ValueError, match='in_chans=2'):
        check_data(detector_of(in_chans=2), train_set, None)


LARGE, TINY = [10, 10, 110, 110], [10, 10, 15, 110]  # in pictures of 300 x 200, shown as 64 x 43


def checked(caplog, records, problems=(), val=None):
    """What is said of a training set of classes cat, dog and owl."""
    detector = detector_of(class_names=NAMES)
    with caplog.at_level(logging.WARNING):
        check_data(detector, DetectionSet(records, NAMES, problems), val and DetectionSet(val, NAMES))
    return [entry.getMessage() for entry in caplog.records]


def test_a_set_that_can_be_learned_is_worth_no_word(caplog):
    records = [record(i, [LARGE] * 3, [0, 1, 2]) for i in range(40)]
    records.append(record(99, [TINY], path='y.png'))
    assert checked(caplog, records, val=[record(1, [LARGE], path='z.png')]) == []


@pytest.mark.parametrize(
    ('records', 'problems', 'expected'),
    [
        ([record(1, [LARGE, LARGE], crowd=[True, True])], (), 'none of the 2 boxes .*: 2 are crowds or difficult$'),
        ([record(1, [TINY])], (), r'none of the 1 .*: 1 have a side under 2 pixels at the input size 64 x 64'),
        (
            [record(1, [TINY, LARGE], crowd=[False, True])],
            (),
            'none of the 2 .*: 1 are crowds or difficult, 1 have a side',
        ),
        ([record(1)], ('a.txt:1: class 7; dropped',), 'none of the 1 .*: 1 were dropped .* such as a.txt:1: class 7'),
        ([record(1)], ('a.png: left out: odd',), 'none of the 1 training pictures has a label.* such as a.png: left'),
    ],
)
def test_a_set_without_a_box_to_train_on_is_refused_with_its_reasons(caplog, records, problems, expected):
    with pytest.raises(ValueError, match=expected):
        checked(caplog, records, problems)


def test_the_share_of_boxes_that_is_lost_is_told(caplog):
    records = [record(i, [LARGE] * 3 + [TINY, LARGE], [0, 1, 2, 0, 0], [False] * 4 + [True]) for i in range(10)]
    problems = tuple(f'line {i}: odd; dropped' for i in range(6)) + (
        'line 7: repeats line 6; dropped',
        'line 8: clipped',
    )
    assert checked(caplog, records, problems) == [
        '46.4 % of the training boxes are not trained on: 10 are crowds or difficult, 10 have a side under 2 pixels at '
        'the input size 64 x 64 (height x width), 6 were dropped when they were read'
    ]


def test_classes_without_a_box_are_named(caplog):
    records = [record(i, [LARGE], [1]) for i in range(99)] + [record(99, [TINY])]
    assert checked(caplog, records) == ['2 of 3 classes have no box to train on: cat, owl']


def test_a_validation_set_that_tells_nothing_is_told(caplog):
    records = [record(i, [LARGE] * 3, [0, 1, 2], path=f'{i}.png') for i in range(3)]
    val = [record(1, path='v.png'), record(2, [LARGE], crowd=[True], path='w.png')]
    assert checked(caplog, records, val=val) == [
        'none of the 2 validation images has an object that counts; AP will be undefined'
    ]


def test_validation_images_that_are_trained_on_are_counted(caplog, tmp_path):
    (tmp_path / 'link').symlink_to(tmp_path)
    records = [record(i, [LARGE] * 3, [0, 1, 2], path=tmp_path / f'{i}.png') for i in range(3)]
    val = [record(i, [LARGE], path=tmp_path / f'link/{i}.png') for i in (1, 2, 3)]
    (told,) = checked(caplog, records, val=val)
    assert told.startswith(
        f'2 of 3 validation images are training images, such as {tmp_path / "link/1.png"}; the figures '
    )


def test_validation_images_with_the_bytes_of_training_images_are_counted(caplog, tmp_path):
    for name, content in {'a': b'one', 'b': b'two', 'same': b'two', 'other': b'six', 'longer': b'seven'}.items():
        (tmp_path / f'{name}.png').write_bytes(content)
    records = [record(i, [LARGE] * 3, [0, 1, 2], path=tmp_path / f'{name}.png') for i, name in enumerate('ab')]
    val = [record(i, [LARGE], path=tmp_path / f'{name}.png') for i, name in enumerate(('other', 'same', 'longer'))]
    (told,) = checked(caplog, records, val=val)
    assert told.startswith(f'1 of 3 validation images are training images, such as {tmp_path / "same.png"};')


@pytest.mark.parametrize(
    ('settings', 'told'),
    [
        ({'lr': 1.0}, ['lr is 1, and 0.02 is usual for nmuon: the loss may become infinite']),
        ({'lr': 0.5, 'optimizer': 'SGD'}, []),
        ({'lr': 5.0, 'optimizer': 'sgd'}, ['lr is 5, and 0.1 is usual for sgd: the loss may become infinite']),
        ({'lr': 5.0, 'optimizer': 'lion'}, []),
        ({}, []),
    ],
)
def test_a_learning_rate_far_above_the_usual_one_is_told(settings, told, caplog):
    warn_of_lr(TrainConfig(**settings))
    assert caplog.messages == told


@pytest.mark.parametrize(
    ('settings', 'stages', 'norms'), [({}, 0, 0), ({'freeze_backbone': 1}, 2, 1), ({'freeze_norm': True}, 0, 1)]
)
def test_the_backbone_is_frozen_as_the_settings_say(settings, stages, norms):
    detector = detector_of()
    prepare_backbone(detector, TrainConfig(**settings))
    model = detector.backbone.model
    frozen = [not p.requires_grad for p in (model.conv_stem.weight, next(model.blocks[0].parameters()))]
    assert sum(frozen) == stages and (not model.bn1.weight.requires_grad) == norms


def test_gradient_checkpointing():
    detector = detector_of()
    prepare_backbone(detector, TrainConfig(grad_checkpointing=True))
    assert detector.backbone.model.grad_checkpointing


def test_the_accelerator_follows_the_settings(tmp_path):
    AcceleratorState._reset_state(True)
    try:
        accelerator = create_accelerator(TrainConfig(mixed_precision='bf16', accumulate=3), tmp_path)
        assert accelerator.mixed_precision == 'bf16' and accelerator.gradient_accumulation_steps == 3
        with accelerator.autocast():
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    finally:
        AcceleratorState._reset_state(True)


@pytest.mark.parametrize('supported', [True, False])
def test_a_gpu_trains_in_bf16_where_it_computes_in_it(monkeypatch, supported):
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda including_emulation: supported)
    assert precision('auto', torch.device('cuda')) == ('bf16' if supported else 'no')
    assert precision('auto', torch.device('cpu')) == precision('auto', torch.device('mps')) == 'no'
    assert precision('fp16', torch.device('cuda')) == 'fp16' and precision('no', torch.device('cuda')) == 'no'
