"""Detectors over the wire: the real huggingface_hub client against the tests' own Hub."""

from hub_server import HubServer, run_client

import mbv3zoo


def test_a_detector_is_pushed_and_pulled_by_library_and_program(tmp_path):
    with HubServer() as server:
        run_client(
            server,
            """
            import torch
            import mbv3zoo
            from mbv3zoo.cli.main import app
            from typer.testing import CliRunner

            detector = mbv3zoo.create_detector('mbv3_yolo_small_050', class_names=['cat', 'dog'], image_size=64).eval()
            url = detector.push_to_hub('me/first')
            assert url.startswith('http'), url
            images = torch.rand(2, 3, 64, 96)
            expected = detector(images)

            pulled = mbv3zoo.Detector.from_pretrained('me/first')
            assert pulled.config == detector.config and not pulled.training
            assert all(torch.equal(a, b) for a, b in zip(pulled(images), expected))
            again = mbv3zoo.create_detector('me/first', pretrained=True)
            assert all(torch.equal(a, b) for a, b in zip(again(images), expected))
            tuned = mbv3zoo.create_detector('me/first', pretrained=True, class_names=['a', 'b', 'c'])
            assert torch.equal(tuned.neck.sppf.conv1.conv.weight, detector.neck.sppf.conv1.conv.weight)
            assert tuned.head.convs[0].out_channels == 3 * 8

            def run(*args):
                result = CliRunner().invoke(app, args)
                assert result.exit_code == 0, (result.output, result.exception)

            run('pull', 'me/first', 'pulled')
            run('push', 'pulled', 'me/second')
            detector.head.convs[0].weight.data.zero_()
            detector.push_to_hub('me/first', dtype=torch.float16, commit_message='half')
            old = mbv3zoo.Detector.from_pretrained('me/second')
            assert all(torch.equal(a, b) for a, b in zip(old(images), expected))
            new = mbv3zoo.Detector.from_pretrained('me/first')
            assert new.head.convs[0].weight.dtype == torch.float32 and not new.head.convs[0].weight.any()
            for wrong in ('me/none', 'mbv3_yolo_smal'):
                try:
                    mbv3zoo.Detector.from_pretrained(wrong)
                except ValueError as error:
                    assert wrong in str(error)
                else:
                    raise AssertionError(wrong)
            """,
            tmp_path,
        )
        for name in ('me/first', 'me/second'):
            # The Hub itself adds .gitattributes to a new repository.
            files = set(server.repos[name].files()) - {'.gitattributes'}
            assert files == {'config.json', 'model.safetensors', 'detector.safetensors', 'README.md'}
        assert b"from_pretrained('me/first')" in server.repos['me/first'].files()['README.md']


def test_a_repository_is_pushed_to_another_one_and_what_is_missing_is_named(tmp_path):
    detector = mbv3zoo.create_detector('mbv3_yolo_small_050', num_classes=2, image_size=64)
    folder = detector.save_pretrained(tmp_path / 'saved')
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    with HubServer() as server:
        server.add_repo('org/zoo', files)
        server.add_repo('org/bare', {name: data for name, data in files.items() if name != 'README.md'})
        server.add_repo('org/empty')
        run_client(
            server,
            """
            import mbv3zoo
            from mbv3zoo.cli.main import app
            from typer.testing import CliRunner

            def push(name, *options):
                result = CliRunner().invoke(app, ['push', name, 'org/copy', *options])
                return result.output if result.exit_code == 0 else str(result.exception)

            assert 'model.safetensors' in push('org/zoo', '--dry-run')
            assert push('org/zoo').startswith('http')
            assert "'org/none' on the Hub: there is no such repository" in push('org/none')
            assert push('org/bare').startswith('org/bare has no README.md')
            assert "cannot load config.json from 'org/empty'" in push('org/empty')
            assert push('runs/train-1/best').startswith("there is no folder 'runs/train-1/best'")

            config = mbv3zoo.DetectorConfig(backbone='mbv3_yolo_small_050')
            mbv3zoo.register_detector('acme', config=config, weights={'there': 'org/zoo'})
            assert push('acme.there').startswith('http')
            assert 'acme.there' in push('acme.here')
            """,
            tmp_path,
        )
        copy = server.repos['org/copy'].files()
        loaded = {'config.json', 'model.safetensors', 'detector.safetensors'}
        assert all(copy[name] == files[name] for name in loaded)
        assert b"from_pretrained('org/copy')" in copy['README.md']
        # The second push had nothing new.
        assert len(server.repos['org/copy'].history()) == 2


def test_the_card_of_a_repository_is_about_the_weights_that_are_pushed(tmp_path):
    with HubServer() as server:
        run_client(
            server,
            """
            from pathlib import Path

            import mbv3zoo
            from huggingface_hub import HfApi, hf_hub_download, metadata_load
            from mbv3zoo.config.license_record import LicenseRecord
            from mbv3zoo.hub.publish import publish_folder
            from mbv3zoo.zoo.resolve import copy_saved

            SCRATCH = {'backbone': 'none', 'imported': 'none'}
            SOURCES = {'imported': {'license': 'mit', 'source': 'them/theirs'}, 'data': {'source': 'me/cats'}}

            def published(repo='org/w'):
                card = Path(hf_hub_download(repo, 'README.md'))
                data, text = metadata_load(card), card.read_text()
                shown = 'predictions.png' in text
                assert shown == ('predictions.png' in HfApi().list_repo_files(repo)) == ('model-index' in data)
                assert shown == ('0.555' in text)
                return shown, text, data

            def edit(repo, old, new):
                text = Path(hf_hub_download(repo, 'README.md')).read_text()
                assert old in text
                data = text.replace(old, new).encode()
                HfApi().upload_file(path_or_fileobj=data, path_in_repo='README.md', repo_id=repo)

            copy_saved('mbv3_yolo_small.synth', 'W')
            publish_folder('W', 'org/w')
            edit('org/w', '<!-- mbv3zoo:begin', 'Mine.\\n\\n<!-- mbv3zoo:begin')
            edit('org/w', 'license: apache-2.0', 'license: apache-2.0\\nlanguage: de')
            detector = mbv3zoo.load('W')
            for push in (lambda: detector.push_to_hub('org/w'), lambda: publish_folder('W', 'org/w')):
                push()
                shown, text, data = published()
                assert shown and '16 classes' in text and 'Mine.' in text and data['language'] == 'de'
            commits = len(HfApi().list_repo_commits('org/w'))
            publish_folder('W', 'org/w')
            assert len(HfApi().list_repo_commits('org/w')) == commits

            # Of other classes, from a folder that had another card.
            mbv3zoo.create_detector('W', pretrained=True, class_names=['cat', 'dog']).save_pretrained('W')
            publish_folder('W', 'org/w')
            shown, text, data = published()
            assert not shown and '2 classes: cat, dog.' in text and 'Mine.' in text and data['language'] == 'de'

            # What it was made from comes and goes with it, also under a text by hand.
            def push(**record):
                licenses = LicenseRecord.parse({**SCRATCH, **record})
                detector.config = detector.config.model_copy(update={'licenses': licenses})
                detector.push_to_hub('org/b', allow_licenses='any')
                return metadata_load(hf_hub_download('org/b', 'README.md'))

            for by_hand in (False, True):
                data = push(**SOURCES)
                assert data['base_model'] == ['them/theirs'] and data['datasets'] == ['me/cats']
                if by_hand:
                    edit('org/b', 'mbv3zoo:begin', 'gone')
                detector.head.convs[0].bias.data += 1
                data = push()
                assert 'base_model' not in data and 'datasets' not in data and data['license'] == 'apache-2.0'
            """,
            tmp_path,
        )
