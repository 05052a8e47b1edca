"""Backbones from repositories of timm's."""

import json
import math

import pytest
import timm
import torch
from hub_server import HubServer, flipped, run_client
from safetensors.torch import load_file, save_file
from timm.models._hub import save_for_hf

import mbv3zoo
from mbv3zoo.models.timm_repository import stock_names


def save(folder, name, **arguments):
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=7, **arguments)
    save_for_hf(model, folder, safe_serialization=True)
    return model


def edit_config(folder, **changes):
    path = folder / 'config.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ('name', 'arguments', 'size', 'channels'),
    [
        ('test_resnet', {}, (640, 640), 3),
        ('mobilenetv3_small_050', {'in_chans': 1}, (640, 640), 1),
        ('test_vit', {'img_size': 128}, (128, 128), 3),
        ('mbv3_yolo_small_050', {}, (640, 640), 3),
    ],
)
def test_a_backbone_keeps_its_weights_and_what_it_was_made_with(tmp_path, name, arguments, size, channels):
    whole = save(tmp_path, name, **arguments).state_dict()
    detector = mbv3zoo.create_detector(f'local-dir:{tmp_path}', pretrained=True, num_classes=2)
    assert detector.config.backbone == name
    assert (detector.config.image_size, detector.config.in_chans) == (size, channels)
    own = detector.backbone.state_dict()
    names = stock_names(detector.backbone)
    assert names and all(torch.equal(own[mine], whole[theirs]) for mine, theirs in names.items())
    # What is saved names the architecture, not the folder.
    detector.save_pretrained(tmp_path / 'detector')
    assert mbv3zoo.Detector.from_pretrained(tmp_path / 'detector').config == detector.config


def test_mean_and_std_are_those_of_the_weights(tmp_path):
    save(tmp_path, 'test_resnet')
    record = json.loads((tmp_path / 'config.json').read_text())['pretrained_cfg']
    edit_config(tmp_path, pretrained_cfg=record | {'mean': [0.1, 0.2, 0.3], 'std': [1.0, 2.0, 3.0]})
    config = mbv3zoo.create_detector(f'local-dir:{tmp_path}', pretrained=True).config
    assert (config.mean, config.std) == ((0.1, 0.2, 0.3), (1.0, 2.0, 3.0))


def test_without_pretrained_only_the_architecture_is_taken(tmp_path):
    whole = save(tmp_path, 'test_resnet').state_dict()
    (tmp_path / 'model.safetensors').unlink()
    torch.manual_seed(1)
    detector = mbv3zoo.create_detector(f'local-dir:{tmp_path}', num_classes=2)
    assert not torch.equal(detector.backbone.model.state_dict()['conv1.0.weight'], whole['conv1.0.weight'])


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'architecture': 'no_such_model'}, "architecture 'no_such_model', which timm does not know"),
        ({'architecture': 5}, 'architecture 5'),
        ({'architecture': 'hf-hub:other/repository'}, 'which timm does not know'),
        ({'model_args': {'checkpoint_path': '/etc/passwd'}}, 'config.json sets checkpoint_path'),
        ({'model_args': {'features_only': False}}, 'config.json sets features_only'),
        ({'model_args': {'device': 'meta'}}, 'config.json sets device'),
        ({'model_args': {'act_layer': 'os.system'}}, 'cannot be built with .*os.system'),
        ({'model_args': {'depth': 10**6}}, 'config.json sets depth=1000000 .*at most 512'),
        ({'pretrained_cfg': {'mean': ['a', 'b', 'c']}}, 'mean in config.json is .*list of numbers'),
        ({'model_args': []}, None),
        ({'model_args': ['a']}, 'model_args in config.json is a list'),
        ({'model_args': {'no_such_argument': 1}}, 'no_such_argument'),
        ({'pretrained_cfg': 'x'}, 'pretrained_cfg in config.json is a str'),
    ],
)
def test_what_a_config_may_not_say(tmp_path, changes, message):
    save(tmp_path, 'test_resnet')
    edit_config(tmp_path, **changes)
    if message is None:
        mbv3zoo.create_detector(f'local-dir:{tmp_path}')
        return
    with pytest.raises(ValueError, match=message):
        mbv3zoo.create_detector(f'local-dir:{tmp_path}')


def test_a_record_cannot_send_for_weights_elsewhere(tmp_path):
    whole = save(tmp_path, 'test_resnet').state_dict()
    record = json.loads((tmp_path / 'config.json').read_text())['pretrained_cfg']
    elsewhere = {'url': 'http://127.0.0.1:9/x.pth', 'file': '/etc/passwd', 'hf_hub_id': 'a/b', 'custom_load': True}
    edit_config(tmp_path, pretrained_cfg=record | elsewhere)
    detector = mbv3zoo.create_detector(f'local-dir:{tmp_path}', pretrained=True)
    assert torch.equal(detector.backbone.model.state_dict()['conv1.0.weight'], whole['conv1.0.weight'])


def test_a_missing_tensor_is_not_left_as_it_was_drawn(tmp_path):
    save(tmp_path, 'mobilenetv3_small_050')
    weights = load_file(tmp_path / 'model.safetensors')
    del weights['conv_stem.weight']
    save_file(weights, tmp_path / 'model.safetensors')
    with pytest.raises(ValueError, match='1 tensors of the backbone are missing, conv_stem.weight first'):
        mbv3zoo.create_detector(f'local-dir:{tmp_path}', pretrained=True)


@pytest.mark.parametrize('missing', ['config.json', 'model.safetensors'])
def test_a_missing_file_is_named(tmp_path, missing):
    save(tmp_path, 'test_resnet')
    (tmp_path / missing).unlink()
    with pytest.raises(ValueError, match=f'has no {missing}.*never from a pickle'):
        mbv3zoo.create_detector(f'local-dir:{tmp_path}', pretrained=True)


def test_from_the_hub_at_a_revision_and_then_from_the_cache(tmp_path):
    for seed, folder in enumerate(('old', 'new')):
        torch.manual_seed(seed)
        save_for_hf(timm.create_model('test_resnet'), tmp_path / folder, safe_serialization=True)
    files = [{p.name: p.read_bytes() for p in (tmp_path / folder).iterdir()} for folder in ('old', 'new')]
    with HubServer() as server:
        repo = server.add_repo('timm/tuned', files[0])
        repo.tags['v1'] = repo.branches['main']
        server.add_commit('timm/tuned', files[1])
        run_client(
            server,
            """
            import torch, mbv3zoo

            def first(name, **options):
                detector = mbv3zoo.create_detector(name, pretrained=True, num_classes=2, **options)
                return detector.backbone.model.state_dict()['conv1.0.weight']

            old, new = first('hf-hub:timm/tuned@v1'), first('hf-hub:timm/tuned')
            assert not torch.equal(old, new)
            assert torch.equal(first('hf-hub:timm/tuned', local_files_only=True), new)
            """,
            tmp_path,
        )


def test_weights_that_a_name_of_timms_stands_for_are_checked_too(tmp_path):
    name = 'timm/mobilenetv3_small_050.lamb_in1k'
    torch.manual_seed(0)
    save_for_hf(timm.create_model('mobilenetv3_small_050'), tmp_path / 'good', safe_serialization=True)
    files = {path.name: path.read_bytes() for path in (tmp_path / 'good').iterdir()}
    weight = load_file(tmp_path / 'good/model.safetensors')['conv_stem.weight']
    torch.save(weight, tmp_path / 'weight')
    with HubServer() as server:
        server.add_repo(name, files)
        run_client(
            server,
            """
            import torch, mbv3zoo
            for name in ('mbv3_yolo_small_050', 'mobilenetv3_small_050.lamb_in1k'):
                detector = mbv3zoo.create_detector(name, pretrained=True, num_classes=2)
                assert torch.equal(detector.backbone.model.conv_stem.weight, torch.load('weight'))
                assert detector.config.licenses.backbone.source == 'timm/mobilenetv3_small_050.lamb_in1k'
            """,
            tmp_path,
        )
        # Every byte that storage sends from now on is wrong.
        server.spoil_next('GET', '/storage/', flipped, math.inf)
        run_client(
            server,
            """
            import mbv3zoo
            try:
                mbv3zoo.create_detector('mbv3_yolo_small_050', pretrained=True, force_download=True)
            except ValueError as error:
                assert 'twice it was not what the Hub states' in str(error), error
            else:
                raise AssertionError('loaded')
            """,
            tmp_path,
        )
