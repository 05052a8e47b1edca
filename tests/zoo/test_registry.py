"""Named detectors: ours, those of other packages, and where their weights are found."""

import shutil
from pathlib import Path

import pytest
import torch
from hub_server import HubServer, run_client

import mbv3zoo
from mbv3zoo import DetectorConfig
from mbv3zoo.zoo import registry as zoo
from mbv3zoo.zoo.configs import named_configs, named_weights
from mbv3zoo.zoo.registry import HubWeights, find_weights, register_detector

CONFIG = DetectorConfig(backbone='mbv3_yolo_small_050', class_names=['a', 'b'], image_size=64)


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp('saved') / 'detector'
    return mbv3zoo.create_detector(CONFIG).save_pretrained(folder)


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(zoo, '_registered', {})
    monkeypatch.delenv('MBV3ZOO_ORG', raising=False)


def assert_same(one, other):
    states = one.state_dict(), other.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


# Registering


def test_a_detector_of_another_package_is_listed_created_and_loaded(saved, tmp_path, monkeypatch):
    path = tmp_path / 'acme.yaml'
    path.write_text('backbone: mbv3_yolo_small_050\nclass_names: [a, b]\nimage_size: 64\n', encoding='utf-8')
    register_detector('acme_small', config=path, weights={'toys': saved, 'hub': 'acme/small@v1'})
    # What was registered does not change with the file or the working folder.
    path.unlink()
    monkeypatch.chdir(tmp_path)

    assert mbv3zoo.list_detectors('acme*') == ['acme_small']
    assert mbv3zoo.list_detectors('acme*', pretrained=True) == ['acme_small.hub', 'acme_small.toys']
    segmenters = {'mbv3_lraspp_large', 'mbv3_lraspp_small'}
    assert set(mbv3zoo.list_segmenters()) == segmenters
    assert set(mbv3zoo.list_detectors()) == {'acme_small', *named_configs()} - segmenters
    names = {'acme_small.hub', 'acme_small.toys', *named_weights()} - {'mbv3_lraspp_small.synth'}
    assert mbv3zoo.list_detectors(pretrained=True) == sorted(names)

    new = mbv3zoo.create_detector('acme_small')
    assert new.config.class_names == ('a', 'b') and new.config.image_size == (64, 64)
    expected = mbv3zoo.Detector.from_pretrained(saved)
    assert_same(mbv3zoo.Detector.from_pretrained('acme_small.toys'), expected)
    assert_same(mbv3zoo.create_detector('acme_small.toys', pretrained=True), expected)
    assert find_weights('acme_small.hub') == HubWeights('acme/small', 'v1')
    with pytest.raises(ValueError, match=r"'acme_small.toy'; 'acme_small' has the weights .*hub, acme_small.toys\.$"):
        mbv3zoo.Detector.from_pretrained('acme_small.toy')
    with pytest.raises(ValueError, match='did you mean acme_small'):
        mbv3zoo.create_detector('acme_smal')


def test_a_relative_folder_is_kept_with_its_whole_path(saved, tmp_path, monkeypatch):
    shutil.copytree(saved, tmp_path / 'weights' / 'toys')
    monkeypatch.chdir(tmp_path)
    register_detector(
        'acme_small', config=CONFIG, weights={'a': Path('weights/toys'), 'b': str(tmp_path / 'weights/toys')}
    )
    folder = tmp_path / 'weights' / 'toys'
    assert zoo.known_weights()['acme_small.a'] == zoo.known_weights()['acme_small.b'] == folder


def test_the_same_again_changes_nothing_and_another_is_refused(saved):
    def register(name='acme_small', config=CONFIG, weights=None):
        register_detector(name, config=config, weights=weights or {'toys': saved})

    register()
    register(weights={'toys': str(saved)})
    known = zoo.known_weights()
    for change in (
        {'config': CONFIG.model_copy(update={'image_size': (96, 96)})},
        {'weights': {'toys': 'acme/small'}},
        {'weights': {'toys': saved, 'more': saved}},
        {'name': 'mbv3_yolo_small'},
    ):
        with pytest.raises(ValueError, match='there is one of that name, with other settings or weights'):
            register(**change)
    assert zoo.known_weights() == known and zoo.find_config('acme_small') == CONFIG
    # Ours, as it is.
    ours = {name.split('.')[1]: folder for name, folder in named_weights().items() if 'yolo_small.' in name}
    register_detector('mbv3_yolo_small', config=named_configs()['mbv3_yolo_small'], weights=ours)
    assert zoo.known_weights() == known


@pytest.mark.parametrize(
    ('name', 'settings', 'words'),
    [
        ('Acme', {}, ["'Acme'", 'small letters']),
        ('acme.toys', {}, ["'acme.toys'", 'Tags']),
        ('acme/small', {}, ["'acme/small'"]),
        ('2acme', {}, ["'2acme'", 'a letter first']),
        ('', {}, ["''"]),
        (None, {}, ['None']),
        ('resnet18', {}, ['resnet18', 'timm model', 'mbv3_yolo_small_050']),
        ('acme', {'config': None}, ['acme', 'NoneType', 'YAML']),
        ('acme', {'config': 'none.yaml'}, ['none.yaml', 'no such']),
        ('acme', {'weights': 'acme/small'}, ['acme', 'str', '{tag: place}']),
        ('acme', {'weights': {'v1.2': 'acme/small'}}, ['acme', "'v1.2'"]),
        ('acme', {'weights': {3: 'acme/small'}}, ['acme', '3']),
        ('acme', {'weights': {'toys': 'small'}}, ['acme.toys', "'small'", 'org/name']),
        ('acme', {'weights': {'toys': 'a/b/c'}}, ['acme.toys', 'a/b/c']),
        ('acme', {'weights': {'toys': 'acme/small@'}}, ['acme.toys', 'acme/small@', 'revision']),
        ('acme', {'weights': {'toys': '/nowhere/at/all'}}, ['acme.toys', '/nowhere/at/all']),
        ('acme', {'weights': {'toys': Path('nowhere')}}, ['acme.toys', 'nowhere']),
        ('acme', {'weights': {'toys': Path(__file__).parent}}, ['acme.toys', 'model.safetensors']),
        ('acme', {'weights': {'toys': None}}, ['acme.toys']),
    ],
)
def test_what_cannot_be_registered_is_refused_in_words(name, settings, words):
    with pytest.raises(ValueError) as caught:
        register_detector(name, **{'config': CONFIG, **settings})
    assert all(word in str(caught.value) for word in words)
    assert zoo.detector_names() == list(named_configs()) and zoo.known_weights() == named_weights()


def test_a_backbone_of_ones_own_may_give_its_name():
    register_detector('resnet18', config=DetectorConfig(backbone='resnet18.a1_in1k', image_size=64))
    assert mbv3zoo.create_detector('resnet18', device='meta').config.image_size == (64, 64)


# Finding


@pytest.mark.parametrize(
    'name',
    ['mbv3_yolo_small', 'mbv3_yolo_small.lamb_in1k', 'mbv3_yolo_small.yaml', 'resnet18.nope', 'org/name', 'none', '']
    + ['mbv3_yolo_small.x/y', 'hf-hub:org/mbv3_yolo_small.coco'],
)
@pytest.mark.parametrize('org', [None, 'org'])
def test_other_names_are_not_those_of_weights(name, org, monkeypatch):
    if org:
        monkeypatch.setenv('MBV3ZOO_ORG', org)
    assert find_weights(name) is None


def test_an_unknown_tag_is_refused_with_the_known_ones():
    for find in (find_weights, mbv3zoo.create_detector, mbv3zoo.Detector.from_pretrained):
        with pytest.raises(ValueError) as caught:
            find('mbv3_yolo_small.coco')
        for word in ('mbv3_yolo_small.coco', 'mbv3_yolo_small.synth', 'mbv3_yolo_small.lamb_in1k', 'MBV3ZOO_ORG'):
            assert word in str(caught.value)


def test_the_organisation_has_what_the_package_has_not(monkeypatch):
    register_detector('acme_small', config=CONFIG)
    monkeypatch.setenv('MBV3ZOO_ORG', 'org')
    assert find_weights('mbv3_yolo_small.synth') == named_weights()['mbv3_yolo_small.synth']
    assert find_weights('mbv3_yolo_small.coco') == HubWeights('org/mbv3_yolo_small.coco')
    for name in ('acme_small.coco', 'mbv3_yolo_small.not a tag', 'mbv3_yolo_small.'):
        with pytest.raises(ValueError, match=name):
            find_weights(name)
    monkeypatch.setenv('MBV3ZOO_ORG', 'org/more')
    with pytest.raises(ValueError, match="MBV3ZOO_ORG='org/more'"):
        find_weights('mbv3_yolo_small.coco')


def test_a_folder_of_that_name_does_not_stand_in_the_way(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(saved, 'mbv3_yolo_small.synth')
    loaded = mbv3zoo.Detector.from_pretrained('./mbv3_yolo_small.synth')
    assert_same(loaded, mbv3zoo.Detector.from_pretrained(saved))
    assert mbv3zoo.Detector.from_pretrained('mbv3_yolo_small.synth').config.num_classes > loaded.config.num_classes


def test_from_the_hub_once_and_then_from_the_cache(saved, tmp_path):
    first, second = ({path.name: path.read_bytes() for path in saved.iterdir()} for _ in range(2))
    config = second['config.json'].decode()
    assert '"b"' in config
    second['config.json'] = config.replace('"b"', '"c"').encode()
    prelude = """
        import mbv3zoo
        from mbv3zoo import DetectorConfig
        from mbv3zoo.zoo import registry as zoo
        config = DetectorConfig(backbone='mbv3_yolo_small_050', num_classes=2, image_size=64)
        zoo.register_detector('acme', config=config, weights={'old': 'acme/small@v1', 'new': 'acme/small'})

        def names(name, **options):
            return mbv3zoo.Detector.from_pretrained(name, **options).config.class_names[-1]

    """
    env = {'MBV3ZOO_ORG': 'org'}
    with HubServer() as server:
        for repo_id in ('acme/small', 'org/mbv3_yolo_small.coco'):
            server.add_repo(repo_id, first)
        server.repos['acme/small'].tags['v1'] = server.repos['acme/small'].branches['main']
        server.add_commit('acme/small', second)
        code = """
        assert names('acme.old') == 'b' and names('acme.new') == 'c' and names('acme.new', revision='v1') == 'b'
        assert names('mbv3_yolo_small.coco') == 'b'
        """
        run_client(server, prelude + code, tmp_path, env)

        # What was fetched is not asked for again, also where the repository has changed since.
        server.add_commit('org/mbv3_yolo_small.coco', second)
        server.log.clear()
        code += """
        detector = mbv3zoo.create_detector('mbv3_yolo_small.coco', pretrained=True)
        assert detector.config.class_names == ('a', 'b') and not detector.training
        """
        run_client(server, prelude + code, tmp_path, env)
        assert not server.log
        run_client(
            server,
            prelude
            + """
        assert names('mbv3_yolo_small.coco', force_download=True) == 'c' == names('mbv3_yolo_small.coco')
        try:
            names('mbv3_yolo_small.none')
        except ValueError as error:
            assert 'org/mbv3_yolo_small.none' in str(error) and 'no such repository' in str(error), error
        else:
            raise AssertionError
        """,
            tmp_path,
            env,
        )
