"""Backbones from repositories of timm's."""

import hashlib
import json
import math
import shutil
from pathlib import Path

import pytest
import timm
import torch
from hub_server import HubServer, flipped, run_client
from safetensors.torch import load_file, save_file
from timm.models import PretrainedCfg
from timm.models._hub import save_for_hf

import mbv3zoo
from mbv3zoo import hub
from mbv3zoo.models.timm_repository import stock_names
from mbv3zoo.zoo import timm_source


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


def edit_weights(folder, edit):
    path = folder / 'model.safetensors'
    weights = {name: tensor.clone() for name, tensor in load_file(path).items()}
    edit(weights)
    save_file(weights, path)


def set_first(value):
    def edit(weights):
        weights['conv1.0.weight'].view(-1)[0] = value

    return edit


def replace_with(tensor):
    return lambda weights: weights.update({'conv1.0.weight': tensor})


def rename(prefix):
    return lambda weights: weights.update({f'{prefix}.{name}': weights.pop(name) for name in list(weights)})


@pytest.mark.parametrize(
    ('edit', 'message'),
    [
        (lambda weights: weights.pop('conv1.0.weight'), r'1 tensors .*, conv1\.0\.weight first, \[16, 3, 3, 3\]'),
        (set_first(math.nan), r'NaN or infinity in 1 tensor of the weights, .*conv1\.0\.weight'),
        (set_first(-math.inf), r'NaN or infinity in 1 tensor of the weights, .*conv1\.0\.weight'),
        (replace_with(torch.ones(16, 3, 3, 3).double() * 1e300), 'NaN or infinity in 1 tensor'),
        (replace_with(torch.ones(16, 3, 3, 3).int()), r'conv1\.0\.weight is of type int32, expected float32'),
        (replace_with(torch.ones(16, 5, 3, 3)), r'conv1\.0.* \(16, 5, 3, 3\)'),
        (replace_with(torch.ones(2, 3, 3, 3)), r'conv1\.0\.weight is \[2, 3, 3, 3\], expected \[16, 3, 3, 3\]'),
        (replace_with(torch.tensor(1.0)), r'conv1\.0\.weight is \[\], expected \[16, 3, 3, 3\]'),
        (lambda weights: weights.clear(), r'none of the 0 tensors .* stayed random, conv1\.0\.weight first'),
        (rename('net'), r'none of the 92 tensors .* stayed random, conv1\.0\.weight first'),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_are_told_with_the_tensor_and_the_name_that_was_given(timm_folder, edit, message):
    edit_weights(timm_folder, edit)
    check_refused(timm_folder, message)


def check_refused(folder, message):
    with pytest.raises(ValueError, match=message) as caught:
        mbv3zoo.create_detector(f'local-dir:{folder}', pretrained=True)
    assert str(caught.value).startswith(f'local-dir:{folder}: ') and '\n' not in str(caught.value)


@pytest.fixture(scope='module')
def timm_saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp('timm')
    save(folder, 'test_resnet')
    return folder


@pytest.fixture
def timm_folder(timm_saved, tmp_path):
    return shutil.copytree(timm_saved, tmp_path / 'copy')


@pytest.mark.parametrize('content', [b'', b'junk' * 99, None])
def test_a_file_that_is_no_safetensors_is_told(timm_folder, content):
    path = timm_folder / 'model.safetensors'
    path.write_bytes(path.read_bytes()[:-9] if content is None else content)
    check_refused(timm_folder, r'model\.safetensors is corrupt')


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float64, torch.float8_e4m3fn])
def test_weights_in_another_precision_are_loaded(timm_folder, dtype):
    edit_weights(timm_folder, lambda weights: weights.update({n: t.to(dtype) for n, t in weights.items() if t.dim()}))
    detector = mbv3zoo.create_detector(f'local-dir:{timm_folder}', pretrained=True)
    expected = load_file(timm_folder / 'model.safetensors')['conv1.0.weight'].float()
    assert torch.equal(detector.backbone.model.state_dict()['conv1.0.weight'], expected)


def test_names_that_timm_translates_are_no_reason_to_refuse(timm_folder):
    expected = load_file(timm_folder / 'model.safetensors')['conv1.0.weight']
    edit_weights(timm_folder, rename('module'))
    detector = mbv3zoo.create_detector(f'local-dir:{timm_folder}', pretrained=True)
    assert torch.equal(detector.backbone.model.state_dict()['conv1.0.weight'], expected)


def test_the_backbone_of_a_saved_detector_is_checked_by_its_digest(tmp_path):
    folder = mbv3zoo.create_detector('test_resnet', image_size=64).save_pretrained(tmp_path / 'saved')
    name, path = f'local-dir:{folder}', folder / 'model.safetensors'
    mbv3zoo.create_detector(name, pretrained=True)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    check_refused(folder, "not the file that was saved .* remove the entry 'sha256'")
    edit_config(folder, sha256={})
    mbv3zoo.create_detector(name, pretrained=True)
    # Another library's entry of that name is its own.
    edit_config(folder, sha256='any', library_name='timm')
    mbv3zoo.create_detector(name, pretrained=True)


def test_weights_that_are_replaced_while_timm_reads_them_are_told(timm_folder, monkeypatch):
    create = timm.create_model

    def create_late(*args, **options):
        if options.get('pretrained'):
            (timm_folder / 'model.safetensors').touch()
        return create(*args, **options)

    monkeypatch.setattr(timm, 'create_model', create_late)
    check_refused(timm_folder, 'was replaced while it was loaded')


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


def test_weights_on_another_server_are_checked_by_the_hash_in_their_name(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    sha256 = hashlib.sha256(b'weights').hexdigest()

    def place(name, content=None):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        record = PretrainedCfg(url=path.as_uri())
        monkeypatch.setattr(timm_source, 'check_name', lambda name: record)
        return path.as_uri()

    place(f'whole-{sha256[:8]}.pth', b'weights')
    for _ in range(2):
        file = timm_source.checked_weights('some_model')['pretrained_cfg_overlay']['file']
        assert Path(file).read_bytes() == b'weights' and file.startswith(str(tmp_path / 'torch'))
        Path(file).write_bytes(b'damaged since')
    for name, content in (('wrong-00000000.pth', b'weights'), ('missing-11111111.pth', None)):
        url = place(name, content)
        with pytest.raises(ConnectionError, match='cannot load the weights of .some_model. from') as caught:
            timm_source.checked_weights('some_model')
        assert url in str(caught.value) and caught.value.__cause__
        assert not (Path(file).parent / name).exists()


@pytest.mark.parametrize(
    ('record', 'file', 'overlay'),
    [
        ({'hf_hub_id': 'timm/x', 'custom_load': True}, 'model.safetensors', {'custom_load': False}),
        ({'hf_hub_id': 'timm/x', 'custom_load': 'hf', 'hf_hub_filename': 'w.npz'}, 'w.npz', {}),
        ({'hf_hub_id': 'timm/x', 'hf_hub_filename': 'w.bin'}, 'w.bin', {}),
    ],
)
def test_weights_of_any_format_are_fetched_by_us(monkeypatch, record, file, overlay):
    monkeypatch.setattr(timm_source, 'check_name', lambda name: PretrainedCfg(**record))
    monkeypatch.setattr(hub, 'pull', lambda repo_id, names, **options: {name: Path(repo_id, name) for name in names})
    found = timm_source.checked_weights('some_model')['pretrained_cfg_overlay']
    assert found == {'file': f'timm/x/{file}', **overlay}


def test_no_weights_are_asked_for_where_timm_has_none_or_a_file(monkeypatch):
    for record in (PretrainedCfg(), PretrainedCfg(file='a.pth', url='http://127.0.0.1:9/a.pth')):
        monkeypatch.setattr(timm_source, 'check_name', lambda name, record=record: record)
        assert timm_source.checked_weights('some_model') == {}
