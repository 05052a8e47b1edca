import logging
from pathlib import Path

import pytest
import yaml
from tiny_sets import write_yolo_set

import mbv3zoo
from mbv3zoo.config.training import RunConfig, TrainConfig
from mbv3zoo.training import run
from mbv3zoo.training.recipes import choose_recipe, read_recipe, recipe_names


@pytest.mark.parametrize('name', recipe_names())
def test_packaged_recipes_are_settings_with_a_reason(name):
    recipe = read_recipe(name)
    assert recipe.settings and TrainConfig.parse(recipe.settings)
    text = (Path(__file__).parents[2] / f'configs/train/{name}.yaml').read_text()
    assert text.startswith('# ')


def test_what_is_given_stays():
    given = TrainConfig(epochs=3, mosaic=0.0)
    config = given.with_defaults({'augmentation': 'medium', 'epochs': 50, 'batch_size': 8})
    expected = TrainConfig(augmentation='medium', mosaic=0.0, epochs=3, batch_size=8)
    assert config == expected and config.with_defaults({'batch_size': 4}) == expected
    assert TrainConfig().with_defaults({}) == TrainConfig()
    # Equal to its preset's, and given all the same.
    assert TrainConfig(gray=0.0).with_defaults({'augmentation': 'medium'}).gray == 0


STARTS = {'nothing': 'few_steps', 'backbone': 'pretrained_backbone', 'model': 'fine_tune'}


@pytest.mark.parametrize('start', STARTS)
@pytest.mark.parametrize(
    ('settings', 'images', 'few'),
    [
        ({'epochs': 30}, 1000, True),
        ({'epochs': 100}, 60, True),
        ({'epochs': 100}, 1000, False),
        ({'epochs': 1}, 118_000, False),
        ({'minutes': 5}, 60, None),
    ],
)
def test_the_recipe_is_by_the_number_of_steps_and_the_start(settings, images, few, start):
    chosen = choose_recipe(TrainConfig(**settings), images, start, 'detection')
    # With minutes the number of steps is not known, but trained weights are kept from large ones.
    assert bool(chosen) == (start != 'nothing' if few is None else few)
    if chosen:
        recipe, why = chosen
        name = 'few_pictures' if start == 'model' and images == 60 else STARTS[start]
        assert recipe == read_recipe(name) and recipe.settings['batch_size'] == 8
        assert (str(images) in why) == (few is True) and (f'{start} is trained already' in why) == (start != 'nothing')
    # Segmenters have no auxiliary head, and no recipe but for trained weights.
    of_segmenters = choose_recipe(TrainConfig(**settings), images, start, 'segmentation')
    expected = read_recipe('fine_tune') if chosen and start == 'model' else None
    assert (of_segmenters and of_segmenters[0]) == expected


@pytest.mark.parametrize('optimizer', ['nmuon', 'SGD', 'adamw', 'lion'])
def test_a_recipes_learning_rate_is_a_share_of_that_of_another_optimizer(optimizer):
    usual, own = TrainConfig(), TrainConfig(optimizer=optimizer)
    slower = own.with_defaults({'lr': usual.lr / 4, 'batch_size': 8})
    assert slower.lr == pytest.approx(own.lr / 4) and slower.weight_decay == own.weight_decay
    # A recipe that has an optimizer of its own has its rate for that one.
    for_sgd = {'optimizer': 'sgd', 'lr': TrainConfig(optimizer='sgd').lr / 2}
    assert own.with_defaults(for_sgd).lr == pytest.approx(own.lr / 2)
    assert usual.with_defaults(for_sgd).lr == for_sgd['lr']
    assert TrainConfig(optimizer=optimizer, lr=0.3).with_defaults(for_sgd).lr == 0.3


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_yolo_set(tmp_path_factory.mktemp('tiny'), {'train': 8, 'val': 1}, (64, 64))


@pytest.mark.parametrize(
    ('recipe', 'settings', 'batch'),
    [(None, {}, 8), ('auto', {'batch_size': 2}, 2), ('none', {}, 16), ('own', {}, 4), ('own', {'batch_size': 3}, 3)],
)
def test_a_run_takes_its_recipe_and_says_so(data, tmp_path, caplog, recipe, settings, batch):
    if recipe == 'own':
        recipe = tmp_path / 'own.yaml'
        recipe.write_text('batch_size: 4\nmosaic_off_epochs: 1\n')
    with caplog.at_level(logging.INFO):
        result = mbv3zoo.train(
            data,
            model='mbv3_yolo_small_050',
            image_size=64,
            epochs=1,
            workers=0,
            recipe=recipe,
            out=tmp_path / 'run',
            **settings,
        )
    written = yaml.safe_load((result.folder / 'run.yaml').read_text())
    assert written['train']['batch_size'] == batch
    assert written['train']['auxiliary_gain'] == (0.5 if recipe in (None, 'auto') else 0)
    assert written['recipe'] == ('auto' if recipe is None else str(recipe))
    told = [text for text in caplog.messages if text.startswith('recipe ')]
    why = (
        f'recipe few_steps (batch_size {batch}, auxiliary_gain 0.5), as 8 images x 1 epochs are few steps; '
        '--recipe none takes the usual settings'
    )
    assert told == ([why] if recipe in (None, 'auto') else [])
    # Of a run that goes on the settings are those that it has.
    run.resume(result.folder, epochs=2)
    assert yaml.safe_load((result.folder / 'run.yaml').read_text())['train']['batch_size'] == batch


def test_recipes_that_are_none(tmp_path):
    with pytest.raises(ValueError, match="recipe: there is no 'coco'; did you mean coco_"):
        read_recipe('coco')
    with pytest.raises(ValueError, match='own.yaml: there is no such file; packaged are coco_100'):
        read_recipe(str(tmp_path / 'own.yaml'))
    (tmp_path / 'own.yaml').write_text('batchsize: 4\n')
    with pytest.raises(ValueError, match="own.yaml: unknown key 'batchsize'; did you mean 'batch_size'"):
        read_recipe(str(tmp_path / 'own.yaml'))


@pytest.mark.parametrize(
    ('model', 'settings', 'lr'),
    [('saved', {}, 1), ('saved', {'pretrained': False}, None), ('config', {}, None), ('saved', {'lr': 0.5}, 0.5)],
)
def test_a_run_from_a_trained_detector_learns_slower(data, tmp_path, model, settings, lr):
    detector = mbv3zoo.create_detector('mbv3_yolo_small_050', num_classes=2, image_size=64)
    detector.save_pretrained(tmp_path / 'saved')
    model = str(tmp_path / 'saved') if model == 'saved' else 'mbv3_yolo_small_050'
    defaults = {'pretrained': None, 'val_data': None, 'images': None, 'data_license': None}
    config = run.run_config(data, model=model, image_size=64, epochs=1, **(defaults | settings))
    trainer = run._trainer(config, tmp_path / 'run', resume=False)
    expected = read_recipe('fine_tune').settings['lr'] if lr == 1 else lr or TrainConfig().lr
    assert trainer.config.lr == expected and (lr == 1) == (expected < TrainConfig().lr)


def test_what_is_pretrained_learns_alike_in_all_recipes():
    names = ('fine_tune', 'few_pictures', 'pretrained_backbone')
    rates = [own.lr * own.lr_backbone for own in (TrainConfig(**read_recipe(name).settings) for name in names)]
    assert rates == pytest.approx([TrainConfig().lr * 0.15] * 3)


@pytest.mark.parametrize(
    ('model', 'pretrained', 'start'),
    [
        ('resnet18', None, 'nothing'),
        ('resnet18', True, 'backbone'),
        ('mbv3_yolo_small', True, 'backbone'),
        ('mbv3_yolo_small.synth', None, 'model'),
        ('mbv3_lraspp_small.synth', None, 'model'),
        ('mbv3_yolo_small.synth', False, 'nothing'),
        ('organisation/name', None, 'model'),
    ],
)
def test_what_a_run_starts_from(model, pretrained, start):
    assert run._start(RunConfig(model=model, pretrained=pretrained, data={'data': 'd'})) == start
