"""The zoo's publication: the real huggingface_hub client against the tests' own Hub."""

import hashlib
import json
import shutil

import publish_zoo
import pytest
import yaml
import zoo_table
from hub_server import READ_TOKEN, REPOSITORY_ROOT, HubServer, run_client
from huggingface_hub import EvalResult, ModelCard

import mbv3zoo
from mbv3zoo.zoo import configs as config_loader

# LARGE is the first that is published, by its name.
LARGE, SMALL = NAMES = ('mbv3_yolo_large.test', 'mbv3_yolo_small.test')
FILES = {'config.json', 'model.safetensors', 'detector.safetensors', 'README.md'}
CARD = f'# The zoo\n\nbefore\n\n{publish_zoo.BEGIN}\nold\n{publish_zoo.END}\n\nafter\n'


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
    """Folders of two small detectors, by name."""
    folders = {name: tmp_path_factory.mktemp('saved') / name for name in NAMES}
    for folder in folders.values():
        detector = mbv3zoo.create_detector('mbv3_yolo_small_050', class_names=['a', 'b'], image_size=64)
        detector.save_pretrained(folder)
    return folders


@pytest.fixture
def package(saved, tmp_path):
    """A package with these two, and a model card; `publish` uses both."""
    package = tmp_path / 'package'
    shutil.copytree(config_loader.config_folder(), package / 'configs')
    for name, folder in saved.items():
        shutil.copytree(folder, package / 'weights' / name)
    (tmp_path / 'CARD.md').write_text(CARD, encoding='utf-8')
    return package


def publish(server, tmp_path, *runs, status=0, env=None):
    """Runs the tool, once for each list of arguments, in one new process; returns what it wrote."""
    code = f"""
        import sys
        from pathlib import Path
        sys.path.insert(0, {str(REPOSITORY_ROOT / 'tools')!r})
        from mbv3zoo.zoo import configs as config_loader
        config_loader._PACKAGE = Path('package').resolve()
        import publish_zoo
        for arguments in {runs!r}:
            status = publish_zoo.main(['--org', 'org', '--model-card', 'CARD.md', '--no-backbones', *arguments])
        assert status == {status}, status
    """
    return run_client(server, code, tmp_path, env).stdout


def writes(server):
    return [entry for entry in server.log if entry.method in ('POST', 'PUT', 'DELETE')]


def card_of(tmp_path):
    return (tmp_path / 'CARD.md').read_text(encoding='utf-8')


def test_the_zoo_is_published_once(package, tmp_path):
    with HubServer() as server:
        publish(server, tmp_path, ['--private', '--tag', 'v1'])
        assert server.repos.keys() == {f'org/{name}' for name in NAMES}
        for name in NAMES:
            repo = server.repos[f'org/{name}']
            assert repo.private and len(repo.history()) == 2 and repo.changed_files() == FILES
            for path in (package / 'weights' / name).iterdir():
                if path.name != 'README.md':
                    assert repo.files()[path.name] == path.read_bytes()
            # The card tells how to load it from there.
            card = repo.files()['README.md'].decode()
            assert f"from_pretrained('org/{name}')" in card and f"'hf-hub:org/{name}'" in card
            assert repo.tags == {'v1': repo.branches['main']}

        # Again: nothing is sent at all, not even for an empty commit.
        server.log.clear()
        told = publish(server, tmp_path, ['--tag', 'v1'])
        assert server.log and not writes(server) and told.count('unchanged') == 2

        # One file of one detector changes, and a person writes into the card of the other.
        config = package / 'weights' / SMALL / 'config.json'
        config.write_bytes(config.read_bytes() + b'\n')
        card = server.repos[f'org/{LARGE}'].files()['README.md'] + b'\nBy a person.\n'
        server.add_commit(f'org/{LARGE}', {'README.md': card})
        server.log.clear()
        told = publish(server, tmp_path, ['--dry-run', '--tag', 'v2'], ['--tag', 'v1'], status=1)
        assert not writes(server)
        assert f'would push org/{SMALL}: config.json, and tag it v2' in told
        assert f'unchanged  org/{LARGE}, and tag it v2' in told
        # A tag does not move.
        assert told.count('FAILED') == told.count('the tag v1 is on') == 2
        publish(server, tmp_path, ['--tag', 'v2'])
        large, small = (server.repos[f'org/{name}'] for name in NAMES)
        assert len(small.history()) == 3 and small.changed_files() == {'config.json'}
        assert len(large.history()) == 3 and large.files()['README.md'] == card
        assert all(repo.tags['v2'] == repo.branches['main'] != repo.tags['v1'] for repo in (large, small))


def test_the_next_run_does_what_failed_and_nothing_else(package, tmp_path):
    weights = hashlib.sha256((package / 'weights' / LARGE / 'model.safetensors').read_bytes()).hexdigest()
    steps = ['/api/repos/create', f'{LARGE}/preupload', f'/storage/{weights}', f'{LARGE}/commit', f'{LARGE}/tag']
    with HubServer() as server:
        for step in steps:
            server.fail_next('PUT' if 'storage' in step else 'POST', step, 403)
        # Every run comes one step further.
        told = publish(server, tmp_path, *[['--tag', 'v1']] * len(steps), status=1)
        assert told.count(f'FAILED     org/{LARGE}') == len(steps) == told.count(f'1 of 2 done, run again for {LARGE}')
        assert told.count(f'pushed     org/{SMALL}') == 1 and told.count(f'unchanged  org/{SMALL}') == len(steps) - 1
        assert card_of(tmp_path) == CARD

        told = publish(server, tmp_path, ['--tag', 'v1'])
        assert '2 of 2 done' in told
        for name in NAMES:
            repo = server.repos[f'org/{name}']
            assert len(repo.history()) == 2 and repo.changed_files() == FILES
            assert repo.tags == {'v1': repo.branches['main']}
        assert len(server.requests('POST', f'{SMALL}/commit')) == 1
        assert f'[org/{LARGE}]({server.url}/org/{LARGE})' in card_of(tmp_path)


def test_without_the_right_nothing_is_written_and_each_is_told(package, tmp_path):
    with HubServer() as server:
        told = publish(server, tmp_path, ['--dry-run', '--tag', 'v1'], [], status=1, env={'HF_TOKEN': READ_TOKEN})
        for name in NAMES:
            assert f'would push org/{name}: config.json, model.safetensors, detector.safetensors, README.md' in told
        assert told.count('FAILED') == told.count('hf auth login') == 2 and '0 of 2 done' in told
        # Those that were refused: the dry run did not even try.
        assert [entry.path for entry in writes(server)] == ['/api/repos/create'] * 2
        assert not server.repos and card_of(tmp_path) == CARD


def test_only_some_and_those_of_another_package(package, saved, tmp_path):
    (tmp_path / 'acme.py').write_text(
        'from mbv3zoo import DetectorConfig\nfrom mbv3zoo.zoo import registry as zoo\n'
        "zoo.register_detector('acme_net', config=DetectorConfig(backbone='mbv3_yolo_small_050', num_classes=2), "
        f"weights={{'here': {str(saved[SMALL])!r}, 'there': 'acme/net@v3'}})\n"
    )
    with HubServer() as server:
        told = publish(server, tmp_path, ['--only', 'none*'], ['--register', 'acme', '--only', 'acme*'])
        assert "nothing in the zoo is called 'none*'" in told
        assert 'left out   acme_net.there: it is on the Hub already, as acme/net' in told
        assert server.repos.keys() == {'org/acme_net.here'}
        # The table is of the whole zoo.
        assert card_of(tmp_path) == CARD


def test_backbones_are_copied_as_timm_has_them_where_they_can_be_fetched(package, tmp_path):
    name, timms = 'mbv3_yolo_small_050.lamb_in1k', 'timm/mobilenetv3_small_050.lamb_in1k'
    config = json.dumps({'architecture': 'mobilenetv3_small_050'}).encode()
    with HubServer() as server:
        server.add_repo(timms, {'config.json': config, 'model.safetensors': b'bytes'})
        told = publish(server, tmp_path, *[['--backbones', '--only', 'mbv3_yolo_small_*']] * 2)
        assert server.repos.keys() == {timms, f'org/{name}'}
        files = server.repos[f'org/{name}'].files()
        assert files['config.json'] == config and files['model.safetensors'] == b'bytes'
        data = yaml.safe_load(files['README.md'].decode().split('---')[1])
        assert data['license'] == 'apache-2.0' and data['base_model'] == timms
        assert 'left out   mbv3_yolo_small_075.lamb_in1k: its weights cannot be fetched from timm/' in told
        assert f'unchanged  org/{name}' in told and len(server.requests('POST', f'{name}/commit')) == 1


# The table


def test_the_table_is_of_the_cards_figures_and_the_costs(package, tmp_path, monkeypatch):
    monkeypatch.setattr(config_loader, '_PACKAGE', package)
    readme = package / 'weights' / SMALL / 'README.md'
    card = ModelCard.load(readme)
    card.data.model_name = SMALL
    card.data.eval_results = [
        EvalResult('object-detection', 'coco', 'synth', key, value) for key, value in (('AP', 0.1234), ('AP50', 0.5))
    ]
    card.save(readme)
    assert publish_zoo.main(['--table-only', '--model-card', str(tmp_path / 'CARD.md')]) == 0
    detector = mbv3zoo.create_detector(package / 'weights' / SMALL)
    parameters = sum(p.numel() for p in detector.parameters())
    header, _, large, small = (
        card_of(tmp_path).split(publish_zoo.BEGIN)[1].split(publish_zoo.END)[0].strip().split('\n')
    )
    assert header == '| detector | AP | AP50 | parameters | GFLOPs | on the Hub |'
    assert small.startswith(f'| `{SMALL}` | 0.123 | 0.500 | {parameters / 1e6:.2f} M | 0.') and small.endswith(' |  |')
    assert large.startswith(f'| `{LARGE}` |  |  | {parameters / 1e6:.2f} M | ')
    assert card_of(tmp_path).startswith('# The zoo\n\nbefore\n') and card_of(tmp_path).endswith('\n\nafter\n')


def test_a_card_without_a_place_for_the_table_is_named(package, tmp_path, monkeypatch):
    monkeypatch.setattr(config_loader, '_PACKAGE', package)
    path = tmp_path / 'CARD.md'
    path.write_text(f'{publish_zoo.END} {publish_zoo.BEGIN}', encoding='utf-8')
    with pytest.raises(SystemExit, match=r'CARD\.md: no lines'):
        publish_zoo.main(['--table-only', '--model-card', str(path)])
    assert path.read_text(encoding='utf-8') == f'{publish_zoo.END} {publish_zoo.BEGIN}'


def test_the_table_of_names_has_all(monkeypatch):
    monkeypatch.setattr(zoo_table, 'SIZES', (64,))
    lines = list(zoo_table.named_table())
    assert lines[0] == '| detector | backbone weights | parameters | GFLOPs at 64 |'
    names = sorted([*mbv3zoo.list_detectors(), *mbv3zoo.list_segmenters()])
    assert [line.split('`')[1] for line in lines[2:]] == names


def test_an_organisation_is_asked_for(capsys):
    with pytest.raises(SystemExit):
        publish_zoo.main([])
    assert '--org is required' in capsys.readouterr().err
