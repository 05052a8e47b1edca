import copy
import csv
import dataclasses
import errno
import math
import os
import re
from dataclasses import replace

import pytest
import torch
from accelerate.state import AcceleratorState
from tiny_sets import CLASS_NAMES, write_mask_set, write_yolo_set

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.create import create_detector, create_segmenter
from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.load import load_dataset
from mbv3zoo.detector import Detector
from mbv3zoo.evaluation.run import run_evaluation as evaluate
from mbv3zoo.training.checkpoint import load_state
from mbv3zoo.training.failures import TrainingDiverged, TrainingStopped
from mbv3zoo.training.optimizer import create_optimizer, create_schedule
from mbv3zoo.training.trainer import Trainer

SETTINGS = {
    'epochs': 3, 'batch_size': 8, 'workers': 0, 'mosaic_off_epochs': 1, 'degrees': 3, 'warmup_epochs': 0.5,
}  # fmt: skip


@pytest.fixture(scope='module')
def sets(tmp_path_factory):
    path = write_yolo_set(tmp_path_factory.mktemp('tiny'))
    return load_dataset(path, 'train'), load_dataset(path, 'val')


def detector_of(**options):
    return create_detector('mbv3_yolo_small_050', **({'class_names': CLASS_NAMES, 'image_size': 64} | options))


def trainer_of(sets, run, resume=False, detector=None, weights=7, **settings):
    """A trainer of a detector whose first weights, and whose paths that are dropped, follow from a seed."""
    torch.manual_seed(weights)
    detector = detector or detector_of(drop_path_rate=0.2)
    return Trainer(detector, *sets, TrainConfig(**(SETTINGS | settings)), run, resume)


def results(run):
    with open(run / 'results.csv', newline='') as file:
        return list(csv.DictReader(file))


def tensors(value, path=''):
    """All tensors and numbers of a nested state, by their path."""
    if isinstance(value, dict):
        return {k: v for key, part in value.items() for k, v in tensors(part, f'{path}.{key}').items()}
    if isinstance(value, (list, tuple)):
        return {k: v for i, part in enumerate(value) for k, v in tensors(part, f'{path}.{i}').items()}
    return {path: value}


def check_same_run(run, other):
    """Two runs ended in the same weights, moments and figures, to the bit."""
    one, two = tensors(load_state(run)), tensors(load_state(other))
    assert one.keys() == two.keys() and len(one) > 500
    for name, value in one.items():
        same = torch.equal(value, two[name]) if isinstance(value, torch.Tensor) else value == two[name]
        assert same, name
    for folder in ('last', 'best'):
        paths = run / folder, other / folder
        for name in ('model.safetensors', 'detector.safetensors', 'README.md'):
            assert (paths[0] / name).read_bytes() == (paths[1] / name).read_bytes()
    timed = ('seconds', 'waiting')
    rows = [[{k: v for k, v in row.items() if k not in timed} for row in results(path)] for path in (run, other)]
    assert rows[0] == rows[1]


@pytest.fixture(scope='module')
def whole(sets, tmp_path_factory):
    """An uninterrupted run: the folder, the trainer, its metrics and the epochs that the samples saw."""
    run, seen = tmp_path_factory.mktemp('runs') / 'deep' / 'whole', []
    trainer = trainer_of(sets, run)
    real = trainer.learner.train_epoch

    def train_epoch(epoch):
        losses = real(epoch)
        assert trainer.learner.loader.dataset is trainer.learner.samples
        seen.append(trainer.learner.samples.epoch)
        return losses

    trainer.learner.train_epoch = train_epoch
    return run, trainer, trainer.fit(), seen


@pytest.fixture(scope='module')
def masked(tmp_path_factory):
    path = write_mask_set(tmp_path_factory.mktemp('masked'))
    return load_dataset(path, 'train', task='segmentation'), load_dataset(path, 'val', task='segmentation')


def segmenter_of(**options):
    options = {'class_names': ('ground', *CLASS_NAMES), 'image_size': 64} | options
    return create_segmenter('mbv3_lraspp_small', **options)


@pytest.fixture(scope='module')
def whole_of_masks(masked, tmp_path_factory):
    """As `whole`, of a segmenter."""
    run = tmp_path_factory.mktemp('runs') / 'whole'
    torch.manual_seed(7)
    trainer = trainer_of(masked, run, detector=segmenter_of(drop_path_rate=0.2), dice_gain=0.5)
    return run, trainer, trainer.fit()


def test_a_segmenter_overfits_a_few_pictures(masked, tmp_path):
    few = replace(masked[0], records=masked[0].records[:8])
    settings = {'epochs': 15, 'batch_size': 4, 'augmentation': 'none', 'ema_decay': 0.9, 'eval_every': 15}
    torch.manual_seed(0)
    metrics = trainer_of((few, few), tmp_path / 'run', detector=segmenter_of(), **settings).fit()
    assert metrics.miou > 0.5
    row = results(tmp_path / 'run')[-1]
    assert float(row['miou']) == round(metrics.miou, 4) and 'ap' not in row
    assert float(row['cross_entropy']) < 0.5 and float(row['dice']) < 0.5
    assert 'mean_iou' in (tmp_path / 'run/best/README.md').read_text()


def test_a_run_leaves_folders_that_load(sets, whole):
    run, trainer, metrics, _ = whole
    assert sorted(path.name for path in run.iterdir()) == [
        'best', 'last', 'report', 'results.csv', 'results.png', 'state.pt', 'train_batch.png',
    ]  # fmt: skip
    assert {path.name for path in (run / 'report').iterdir()} > {'metrics.json', 'pr_curve.png', 'predictions.png'}
    for name in ('last', 'best'):
        names = ['README.md', 'config.json', 'detector.safetensors', 'model.safetensors']
        # The report's picture, which the card of the best weights shows.
        names += ['predictions.png'] if name == 'best' else []
        assert sorted(path.name for path in (run / name).iterdir()) == names
        detector = Detector.from_pretrained(run / name)
        assert detector.config.class_names == CLASS_NAMES and detector.config.image_size == (64, 64)
        found = detector.predict(sets[1].records[0].path)
        assert found.image_size == (72, 96)
    # What is saved is what was scored.
    again = evaluate(Detector.from_pretrained(run / 'last'), sets[1]).metrics
    assert again.ap == pytest.approx(metrics.ap, abs=1e-6) and again.objects == metrics.objects > 0


def test_results_hold_a_line_an_epoch(whole):
    run, trainer, metrics, _ = whole
    rows = results(run)
    assert list(rows[0]) == [
        'epoch', 'seconds', 'waiting', 'lr', 'box', 'objectness', 'classes',
        'ap', 'ap50', 'ap75', 'ap_small', 'ap_medium', 'ap_large',
    ]  # fmt: skip
    assert [row['epoch'] for row in rows] == ['1', '2', '3']
    for row in rows:
        assert all(math.isfinite(float(value)) for name, value in row.items() if not name.startswith('ap_'))
        assert 0 <= float(row['waiting']) <= 1
        assert all(float(row[name]) > 0 for name in ('lr', 'box', 'objectness', 'classes'))
    assert float(rows[-1]['lr']) == pytest.approx(TrainConfig().lr * TrainConfig().lr_end, abs=1e-6)
    assert float(rows[-1]['ap']) == pytest.approx(metrics.ap, abs=1e-4)


def test_cards_hold_the_figures_of_their_weights(whole):
    run, _, metrics, _ = whole
    assert f'| AP50 | {metrics.ap50:.3f} |' in (run / 'last/README.md').read_text()
    best = max(results(run), key=lambda row: float(row['ap']))
    # Both are rounded, to four digits and to three, from the same figure.
    card = re.search(r'\| AP50 \| ([0-9.]+) \|', (run / 'best/README.md').read_text())
    assert float(card[1]) == pytest.approx(float(best['ap50']), abs=0.00056)


def test_samples_know_the_epoch(whole):
    assert whole[3] == [0, 1, 2]


def test_the_moving_average_is_kept_and_is_not_the_raw_weights(whole):
    run, trainer, _, _ = whole
    assert trainer.learner.kept is trainer.learner.ema.module
    last = Detector.from_pretrained(run / 'last').state_dict()
    raw, state = trainer.learner.model.state_dict(), load_state(run)
    assert all(torch.equal(last[name], value) for name, value in trainer.learner.ema.module.state_dict().items())
    assert all(torch.equal(state['model'][name], value) for name, value in raw.items())
    floats = [name for name, value in raw.items() if value.is_floating_point()]
    assert sum(not torch.equal(last[name], raw[name]) for name in floats) > 0.95 * len(floats)


def test_weights_and_statistics_move(whole):
    torch.manual_seed(7)
    fresh = detector_of(drop_path_rate=0.2).state_dict()
    last = Detector.from_pretrained(whole[0] / 'last').state_dict()
    assert fresh.keys() == last.keys()
    assert sum(torch.equal(fresh[name], value) for name, value in last.items()) < 0.02 * len(fresh)


@pytest.mark.parametrize(
    ('task', 'stop_at_step'),
    [('detection', 4), ('detection', 5), ('segmentation', 5), pytest.param('segmentation', 4, marks=pytest.mark.slow)],
)
def test_a_resumed_run_ends_as_the_uninterrupted_one(request, tmp_path, task, stop_at_step):
    """Stopped before the first and before the second step of the last epoch."""
    sets = request.getfixturevalue('sets' if task == 'detection' else 'masked')
    whole = request.getfixturevalue('whole' if task == 'detection' else 'whole_of_masks')
    more = {} if task == 'detection' else {'dice_gain': 0.5}

    def create(weights, resume=False):
        torch.manual_seed(weights)
        detector = None if task == 'detection' else segmenter_of(drop_path_rate=0.2)
        return trainer_of(sets, tmp_path / 'run', resume, detector, weights, **more)

    trainer, steps = create(7), []
    real = trainer.learner._step

    def step(*args):
        if len(steps) == stop_at_step:
            raise KeyboardInterrupt
        steps.append(1)
        return real(*args)

    trainer.learner._step = step
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()
    assert load_state(tmp_path / 'run')['epoch'] == 2
    metrics = create(99, resume=True).fit()
    assert metrics.score == whole[2].score
    check_same_run(whole[0], tmp_path / 'run')


def test_a_run_that_is_done_has_nothing_left_to_do(sets, whole):
    before = {path: path.read_bytes() for path in whole[0].rglob('*') if path.is_file()}
    assert trainer_of(sets, whole[0], resume=True).fit() is None
    assert before == {path: path.read_bytes() for path in whole[0].rglob('*') if path.is_file()}


def test_a_line_of_a_lost_epoch_is_written_anew(sets, tmp_path):
    """Killed between results.csv and state.pt: the line is there, the state is not."""
    run = tmp_path / 'run'
    trainer_of(sets, run, epochs=1).fit()
    state = (run / 'state.pt').read_bytes()
    for _ in range(2):
        trainer = trainer_of(sets, run, resume=True, epochs=2)
        assert trainer.epoch == 1
        trainer.fit()
        (run / 'state.pt').write_bytes(state)
    assert [row['epoch'] for row in results(run)] == ['1', '2']


def test_a_folder_in_use_is_refused(sets, whole, tmp_path):
    with pytest.raises(ValueError, match='exists; results are never overwritten'):
        trainer_of(sets, whole[0])
    (tmp_path / 'notes.txt').write_text('mine')
    with pytest.raises(ValueError, match='exists'):
        trainer_of(sets, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['notes.txt']


def test_nothing_to_resume_is_refused(sets, tmp_path):
    with pytest.raises(ValueError, match='nothing to resume'):
        trainer_of(sets, tmp_path / 'none', resume=True)
    assert not (tmp_path / 'none').exists()


def test_a_damaged_state_is_refused(sets, tmp_path):
    (tmp_path / 'state.pt').write_bytes(b'cut')
    with pytest.raises(ValueError, match=r'state\.pt: not a state of a run, or damaged'):
        trainer_of(sets, tmp_path, resume=True)


def spoil(trainer):
    with torch.no_grad():
        next(trainer.learner.model.parameters()).fill_(math.nan)


@pytest.mark.parametrize('when', ['before the epoch', 'in its last step'])
def test_nan_stops_the_run_and_keeps_the_last_good_weights(sets, tmp_path, when):
    run = tmp_path / 'run'
    trainer = trainer_of(sets, run)
    real = trainer.learner.train_epoch

    def train_epoch(epoch):
        if epoch == 1 and when == 'before the epoch':
            spoil(trainer)
        losses = real(epoch)
        if epoch == 1:
            spoil(trainer)
        return losses

    trainer.learner.train_epoch = train_epoch
    with pytest.raises(TrainingDiverged, match='no longer finite.*holds the weights of epoch 1') as caught:
        trainer.fit()
    assert str(run / 'last') in str(caught.value) and 'lower lr' in str(caught.value)
    assert load_state(run)['epoch'] == 1
    state = Detector.from_pretrained(run / 'last').state_dict()
    assert all(tensor.isfinite().all() for tensor in state.values())
    assert len(results(run)) == 1


def test_a_learning_rate_out_of_all_reason_diverges(sets, tmp_path):
    with pytest.raises(TrainingDiverged, match='nothing was saved yet'):
        trainer_of(sets, tmp_path / 'run', lr=1e30, optimizer='sgd', clip_grad=None, warmup_epochs=0).fit()
    assert [path.name for path in (tmp_path / 'run').iterdir()] == ['train_batch.png']


def test_a_full_disk_leaves_the_old_checkpoint_whole(sets, tmp_path, monkeypatch):
    run = tmp_path / 'run'

    def cheap(trainer):
        """An epoch that only marks the weights with its number."""

        def train_epoch(epoch):
            for detector in (trainer.learner.model, trainer.learner.ema.module):
                detector.head.convs[0].bias.data.fill_(epoch + 1.0)
            return [0.1, 0.1, 0.1]

        trainer.learner.train_epoch = train_epoch
        return trainer

    def mark():
        return Detector.from_pretrained(run / 'last').head.convs[0].bias.unique().item()

    pair = (sets[0], None)
    cheap(trainer_of(pair, run, epochs=1)).fit()
    assert mark() == 1
    failed_at = []
    # Each save syncs a few files: the disk is full at the first, the second, ...
    for count in range(8):
        calls = []

        def fsync(file, calls=calls, count=count, real=os.fsync):
            calls.append(file)
            if len(calls) > count:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(file)

        before = {path: path.read_bytes() for path in run.rglob('*') if path.is_file()}
        trainer = cheap(trainer_of(pair, run, resume=True, epochs=2))
        with monkeypatch.context() as patch:
            patch.setattr(os, 'fsync', fsync)
            try:
                trainer.fit()
            except TrainingStopped as error:
                assert error.__cause__.errno == errno.ENOSPC and 'could not write' in str(error)
                assert 'checkpoint of epoch 1 is whole' in str(error) and f'--resume {run}' in str(error)
                failed_at.append(count)
            else:
                break
        assert load_state(run)['epoch'] == 1
        after = {path: path.read_bytes() for path in run.rglob('*') if path.is_file()}
        # No half of anything: the files are those that were there, and `last` is all old or all new.
        assert after.keys() == before.keys()
        assert mark() in (1, 2)
        if count < 4:
            assert before == after
    assert failed_at == list(range(7)), 'config.json, README.md and both of weights, results.csv, results.png, state.pt'
    assert mark() == 2 and load_state(run)['epoch'] == 2
    assert [row['epoch'] for row in results(run)] == ['1', '2']


def test_classes_that_do_not_fit_are_refused(sets, tmp_path):
    cases = [
        (('square', 'disc', 'star'), 'the detector has 3 classes, the data set 2'),
        (('disc', 'square'), 'the order differs'),
        (('square', 'ring'), r"unknown to the detector: \['disc'\]"),
    ]
    for names, expected in cases:
        with pytest.raises(ValueError, match=expected):
            trainer_of(sets, tmp_path / 'run', detector=detector_of(class_names=names))
    other = dataclasses.replace(sets[1], class_names=('a', 'b'))
    with pytest.raises(ValueError, match='unknown to the detector'):
        trainer_of((sets[0], other), tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_a_set_without_any_label_is_refused(sets, tmp_path):
    bare = [
        dataclasses.replace(r, boxes=r.boxes[:0], labels=r.labels[:0], areas=r.areas[:0], iscrowd=r.iscrowd[:0])
        for r in sets[0].records
    ]
    with pytest.raises(ValueError, match='none of the 16 training pictures has a label'):
        trainer_of((DetectionSet(bare, CLASS_NAMES), sets[1]), tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_pictures_of_other_channels_are_refused(sets, tmp_path):
    with pytest.raises(ValueError, match='in_chans=4'):
        trainer_of(sets, tmp_path / 'run', detector=detector_of(in_chans=4))


def test_a_grey_detector_trains(sets, tmp_path):
    run = tmp_path / 'run'
    metrics = trainer_of(sets, run, detector=detector_of(in_chans=1), epochs=1).fit()
    assert metrics.images == 6
    detector = Detector.from_pretrained(run / 'best')
    assert detector.config.in_chans == 1
    detector.predict(sets[1].records[0].path)


def test_without_moving_average_and_validation(sets, tmp_path):
    run = tmp_path / 'run'
    trainer = trainer_of((sets[0], None), run, ema_decay=0, epochs=2)
    assert trainer.fit() is None
    assert trainer.learner.ema is None and load_state(run)['ema'] is None
    last, raw = Detector.from_pretrained(run / 'last').state_dict(), trainer.learner.model.state_dict()
    assert all(torch.equal(last[name], value) for name, value in raw.items())
    assert not (run / 'best').exists()
    assert [row['ap'] for row in results(run)] == ['', '']
    # It resumes too.
    trainer_of((sets[0], None), run, resume=True, ema_decay=0, epochs=3).fit()
    assert len(results(run)) == 3


def test_evaluation_has_its_epochs_and_the_last(sets, tmp_path):
    run = tmp_path / 'run'
    trainer = trainer_of(sets, run, epochs=5, eval_every=2)
    trainer.learner.train_epoch = lambda epoch: [0.1, 0.1, 0.1]
    assert trainer.fit() is not None
    assert [row['ap'] != '' for row in results(run)] == [False, True, False, True, True]


def test_best_keeps_the_best(sets, tmp_path, monkeypatch):
    run = tmp_path / 'run'
    trainer = trainer_of(sets, run, epochs=5)
    real = trainer._evaluate(trainer.learner.kept, with_f1=True)
    scores = iter([math.nan, 0.2, 0.5, 0.4, 0.5, 0.5])

    def train_epoch(epoch):
        trainer.learner.ema.module.head.convs[0].bias.data.fill_(epoch + 1.0)
        return [0.1, 0.1, 0.1]

    trainer.learner.train_epoch = train_epoch
    trainer._evaluate = lambda _, with_f1=False: real._replace(metrics=replace(real.metrics, ap=next(scores)))
    trainer.fit()
    assert Detector.from_pretrained(run / 'best').head.convs[0].bias.unique().item() == 3
    assert Detector.from_pretrained(run / 'last').head.convs[0].bias.unique().item() == 5
    assert load_state(run)['best_ap'] == 0.5


def test_a_picture_without_boxes_alone_in_its_batch(sets, tmp_path):
    first = sets[0].records[0]
    bare = dataclasses.replace(
        first, boxes=first.boxes[:0], labels=first.labels[:0], areas=first.areas[:0], iscrowd=first.iscrowd[:0]
    )
    data = DetectionSet([first, bare], CLASS_NAMES)
    trainer_of((data, None), tmp_path / 'run', epochs=1, batch_size=1, mosaic=0).fit()
    assert math.isfinite(float(results(tmp_path / 'run')[0]['box']))


def test_bfloat16(sets, tmp_path):
    # accelerate keeps one precision a process.
    AcceleratorState._reset_state(True)
    try:
        metrics = trainer_of(sets, tmp_path / 'run', epochs=1, mixed_precision='bf16').fit()
    finally:
        AcceleratorState._reset_state(True)
    state = load_state(tmp_path / 'run')
    assert {t.dtype for t in state['model'].values() if t.is_floating_point()} == {torch.float32}
    assert metrics.images == 6


FROZEN_STAGES = tuple(f'backbone.model.{name}.' for name in ('conv_stem', 'bn1', 'blocks.0', 'blocks.1'))


def is_frozen(name, freeze_backbone, freeze_norm):
    """By its name: in the stem or the first two stages, or part of a BatchNorm of the backbone."""
    in_norm = name.startswith('backbone.model.') and name.split('.')[-2].startswith('bn')
    return (freeze_backbone == 2 and name.startswith(FROZEN_STAGES)) or (freeze_norm and in_norm)


@pytest.mark.parametrize(('freeze_backbone', 'freeze_norm'), [(2, False), (0, True), (2, True)])
def test_what_is_frozen_stays_to_the_bit_and_the_rest_learns(sets, tmp_path, freeze_backbone, freeze_norm):
    trainer = trainer_of(
        sets, tmp_path / 'run', epochs=1, freeze_backbone=freeze_backbone, freeze_norm=freeze_norm, warmup_epochs=0
    )
    before = {name: tensor.clone() for name, tensor in trainer.learner.model.state_dict().items()}
    trainer.fit()
    frozen = {name for name in before if is_frozen(name, freeze_backbone, freeze_norm)}
    assert sum(name.endswith('running_var') for name in frozen) > 5
    saved = Detector.from_pretrained(tmp_path / 'run' / 'last').state_dict()
    for after in (trainer.learner.model.state_dict(), saved, load_state(tmp_path / 'run')['model']):
        same = {name for name, tensor in after.items() if torch.equal(tensor, before[name])}
        assert same >= frozen
        assert len(same - frozen) < 0.02 * len(before)
    for detector in (trainer.learner.model, trainer.learner.ema.module):
        assert {name for name, p in detector.named_parameters() if not p.requires_grad} == {
            name for name, _ in detector.named_parameters() if name in frozen
        }
    # Nothing of it computes otherwise in training.
    training = {name for name, module in trainer.learner.model.train().named_modules() if module.training}
    assert not {name.rpartition('.')[0] for name in frozen} & training
    assert 'backbone.model.blocks.2.0' in training and 'neck' in training
    if freeze_backbone:
        assert not [name for name in training if f'{name}.'.startswith(FROZEN_STAGES)]


def test_a_wholly_frozen_backbone_stays_and_the_rest_learns(sets, tmp_path):
    trainer = trainer_of((sets[0], None), tmp_path / 'run', epochs=1, freeze_backbone=6, warmup_epochs=0)
    before = {name: tensor.clone() for name, tensor in trainer.learner.model.state_dict().items()}
    trainer.fit()
    for name, tensor in trainer.learner.model.state_dict().items():
        if name.startswith('backbone.') or name.endswith('.weight'):
            assert torch.equal(tensor, before[name]) == name.startswith('backbone.'), name


def test_a_resumed_run_with_a_backbone_of_its_own_rates(sets, tmp_path):
    settings = {'epochs': 2, 'freeze_backbone': 1, 'freeze_norm': True, 'lr_backbone': 0.1, 'layer_decay': 0.8}
    trainer_of(sets, tmp_path / 'whole', **settings).fit()
    stopped = trainer_of(sets, tmp_path / 'run', **settings)
    real = stopped.learner.train_epoch

    def train_epoch(epoch):
        if epoch == 1:
            raise KeyboardInterrupt
        return real(epoch)

    stopped.learner.train_epoch = train_epoch
    with pytest.raises(KeyboardInterrupt):
        stopped.fit()
    # Another first draw of the weights, frozen ones too: they come from the state.
    again = trainer_of(sets, tmp_path / 'run', resume=True, weights=99, **settings)
    shares = {group['lr_scale'] for group in again.learner.optimizer.param_groups}
    assert len(shares) > 5 and max(shares) == 1
    again.fit()
    check_same_run(tmp_path / 'whole', tmp_path / 'run')
    # What is logged is the rate before the shares.
    config = TrainConfig(**(SETTINGS | settings))
    plain = create_optimizer(torch.nn.Linear(2, 2), TrainConfig(**(SETTINGS | {'epochs': 2})))
    schedule = create_schedule(plain, config, len(again.learner.loader))
    for epoch, row in enumerate(results(tmp_path / 'run'), start=1):
        schedule.step_update(epoch * len(again.learner.loader))
        assert row['lr'] == f'{plain.param_groups[0]["lr"]:.6f}' != '0.000000'


def gradients(model):
    """Gradients of a loss of fixed pictures, and the bytes that were kept for them."""
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    kept = []

    def pack(tensor):
        kept.append(tensor.nbytes)
        return tensor

    model.train()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = sum(x.square().mean() for x in model(images))
    loss.backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}, sum(kept)


@pytest.mark.parametrize('name', ['mbv3_yolo_small_050', 'test_vit'])
@pytest.mark.parametrize('freeze_backbone', [0, 1])
def test_checkpointed_gradients_are_the_plain_ones(sets, tmp_path, name, freeze_backbone):
    detector = create_detector(name, class_names=CLASS_NAMES, image_size=64)
    plain = trainer_of(
        sets, tmp_path / 'plain', detector=copy.deepcopy(detector), freeze_backbone=freeze_backbone
    ).learner.model
    less = trainer_of(
        sets, tmp_path / 'less', detector=detector, freeze_backbone=freeze_backbone, grad_checkpointing=True
    ).learner.model
    (expected, whole), (found, kept) = gradients(plain), gradients(less)
    assert found.keys() == expected.keys() and len(found) > 100
    for key, gradient in expected.items():
        torch.testing.assert_close(found[key], gradient, rtol=1e-3, atol=1e-5 * gradient.abs().max().item() + 1e-9)
    assert kept < 0.9 * whole


def test_a_run_with_checkpointed_gradients(sets, tmp_path):
    metrics = trainer_of(sets, tmp_path / 'run', epochs=1, grad_checkpointing=True, freeze_norm=True).fit()
    assert metrics.images == 6 and math.isfinite(float(results(tmp_path / 'run')[0]['box']))


def test_more_frozen_stages_than_there_are_is_refused(sets, tmp_path):
    with pytest.raises(ValueError, match=r'freeze_backbone must be 0\.\.6, the stages of backbone .*given 7'):
        trainer_of(sets, tmp_path / 'run', freeze_backbone=7)
    assert not (tmp_path / 'run').exists()


@pytest.mark.slow
def test_a_detector_learns_clear_shapes(tmp_path):
    # 240 steps from nothing end anywhere between AP50 0.2 and 1 by the first weights; with these at 1.
    torch.manual_seed(1)
    path = write_yolo_set(tmp_path / 'set', {'train': 32, 'val': 16}, (96, 96))
    sets = load_dataset(path, 'train'), load_dataset(path, 'val')
    detector = detector_of(image_size=96)
    settings = {'epochs': 30, 'batch_size': 4, 'mosaic': 0.3, 'scale': 0.2, 'eval_every': 30, 'color': 0, 'degrees': 0}
    metrics = trainer_of(sets, tmp_path / 'run', detector=detector, **settings).fit()
    assert metrics.ap50 > 0.5
    rows = results(tmp_path / 'run')
    assert float(rows[-1]['box']) < 0.8 * float(rows[0]['box'])
