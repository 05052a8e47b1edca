"""Licences on the way: from what a detector is built of, through training, to what may be pushed and loaded."""

import pytest
import yaml
from hub_server import HubServer, run_client
from typer.testing import CliRunner

import mbv3zoo
from mbv3zoo.cli.main import app
from mbv3zoo.config.license_record import LicensedPart, LicenseRecord
from mbv3zoo.hub.publish import card_license, publish_folder

AGPL = LicenseRecord(backbone=LicensedPart(license='none'), imported=LicensedPart(license='agpl-3.0', source='a.pt'))


def make(licenses):
    detector = mbv3zoo.create_detector('mbv3_yolo_small_050', num_classes=2, image_size=64)
    detector.config = detector.config.model_copy(update={'licenses': licenses})
    return detector


def test_a_detector_from_scratch_is_ours_to_give():
    licenses = mbv3zoo.create_detector('resnet18', device='meta').config.licenses
    assert licenses.backbone.license == licenses.imported.license == 'none'


def test_licences_that_are_not_allowed_are_refused_before_a_download():
    with pytest.raises(ValueError, match=r"timm/mobilenetv3_small_100.*not in allow_licenses=\['mit'\]"):
        mbv3zoo.create_detector('mbv3_yolo_small', pretrained=True, allow_licenses=['mit'])
    mbv3zoo.create_detector('mbv3_yolo_small', allow_licenses=['mit'], device='meta')


def test_a_saved_record_travels_and_is_asked(tmp_path):
    folder = make(AGPL).save_pretrained(tmp_path / 'agpl')
    assert mbv3zoo.Detector.from_pretrained(folder).config.licenses == AGPL
    tuned = mbv3zoo.create_detector(folder, pretrained=True, num_classes=5, allow_licenses=['agpl-3.0'])
    assert tuned.config.licenses == AGPL
    with pytest.raises(ValueError, match='agpl-3.0, from a.pt'):
        mbv3zoo.create_detector(folder, pretrained=True, allow_licenses=['apache-2.0'])
    # Of its weights nothing is left.
    assert mbv3zoo.create_detector(folder).config.licenses.imported.license == 'none'


@pytest.mark.parametrize('open_it', [mbv3zoo.load, mbv3zoo.Detector.from_pretrained], ids=['load', 'from_pretrained'])
def test_whoever_opens_a_detector_may_say_which_licences_are_allowed(tmp_path, open_it):
    folder = make(AGPL).save_pretrained(tmp_path / 'agpl')
    assert open_it(folder, allow_licenses=['agpl-3.0']).config.licenses == AGPL
    assert open_it(folder, allow_licenses='any').config.licenses == AGPL
    for source in (folder, str(folder)):
        with pytest.raises(ValueError, match=r"agpl-3.0, from a.pt\) is not in allow_licenses=\['apache-2.0'\]"):
            open_it(source, allow_licenses=['apache-2.0'])
    unknown = make(LicenseRecord()).save_pretrained(tmp_path / 'unknown')
    with pytest.raises(ValueError, match='unknown'):
        open_it(unknown, allow_licenses=['apache-2.0'])
    # Made from nothing that has a licence.
    assert open_it('mbv3_yolo_small.synth', allow_licenses=[])
    with pytest.raises(ValueError, match='not a licence id'):
        open_it(folder, allow_licenses=['a|b'])


def test_a_detector_in_a_runtime_is_checked_too(tmp_path):
    folder = make(AGPL).save_pretrained(tmp_path / 'agpl')
    with pytest.raises(ValueError, match='agpl-3.0'):
        mbv3zoo.load(folder, runtime='eager', allow_licenses=['apache-2.0'])
    assert mbv3zoo.load(folder, runtime='eager', allow_licenses=['agpl-3.0']).info.licenses == AGPL


def test_the_record_in_an_exported_file_is_checked(tmp_path):
    path = make(AGPL).export(tmp_path / 'model.torchscript')
    assert mbv3zoo.load(path, allow_licenses=['agpl-3.0']).info.licenses == AGPL
    with pytest.raises(ValueError, match='agpl-3.0, from a.pt'):
        mbv3zoo.load(path, allow_licenses=['apache-2.0'])


@pytest.mark.parametrize('source', ['folder', 'mbv3_yolo_small.synth', 'organisation/name'])
@pytest.mark.parametrize('open_it', [mbv3zoo.load, mbv3zoo.Detector.from_pretrained], ids=['load', 'from_pretrained'])
def test_an_unknown_option_is_a_type_error_wherever_the_detector_is(tmp_path, source, open_it):
    if source == 'folder':
        source = make(AGPL).save_pretrained(tmp_path / 'agpl')
    for options in ({'class_names': ['a', 'b']}, {'num_classes': 2}, {'allow_license': ['any']}, {'pretrained': True}):
        with pytest.raises(TypeError, match=f'{next(iter(options))}.*create_detector'):
            open_it(source, **options)


DECLARED = {
    'backbone': ({'backbone': 'agpl-3.0'}, ['timm/mobilenetv3_small_050.lamb_in1k', 'agpl-3.0']),
    'imported': ({'imported': {'license': 'agpl-3.0', 'source': 'mine.pt'}}, ['mine.pt', 'agpl-3.0']),
    'data': ({'data': [{'license': 'cc-by-nc-4.0', 'source': 'team/cats'}]}, ['team/cats', 'cc-by-nc-4.0']),
}


@pytest.mark.parametrize('part', DECLARED)
def test_what_a_yaml_file_says_of_licences_is_kept(tmp_path, part):
    licenses, words = DECLARED[part]
    path = tmp_path / 'mine.yaml'
    lines = {'backbone': 'mbv3_yolo_small_050', 'num_classes': 2, 'image_size': 64, 'licenses': licenses}
    path.write_text(yaml.safe_dump(lines))
    result = CliRunner().invoke(app, ['info', str(path)])
    assert result.exit_code == 0 and all(word in result.output for word in words)
    if part == 'backbone':  # no weights, no licence of weights
        assert mbv3zoo.create_detector(path).config.licenses.backbone.license == 'none'
        with pytest.raises(ValueError, match='agpl-3.0, from timm/mobilenetv3_small_050'):
            mbv3zoo.create_detector(path, pretrained=True, allow_licenses=['apache-2.0'])
        return
    detector = mbv3zoo.create_detector(path)
    expected = getattr(LicenseRecord.parse(licenses), part)
    assert getattr(detector.config.licenses, part) == expected
    folder = detector.save_pretrained(tmp_path / 'saved')
    assert getattr(mbv3zoo.Detector.from_pretrained(folder).config.licenses, part) == expected
    with pytest.raises(ValueError, match=words[1]):
        mbv3zoo.Detector.from_pretrained(folder, allow_licenses=['apache-2.0'])
    assert f'license: {words[1]}' in (folder / 'README.md').read_text(encoding='utf-8')


def test_the_card_names_the_licence_of_the_record(tmp_path):
    text = (make(AGPL).save_pretrained(tmp_path) / 'README.md').read_text(encoding='utf-8')
    assert card_license(text) == 'agpl-3.0'
    assert card_license(text.replace('license: agpl-3.0', 'license: other\nlicense_name: mine')) == 'mine'
    assert card_license('no metadata') is None


def test_weights_are_not_published_under_a_licence_that_theirs_forbids(tmp_path):
    detector = make(AGPL)
    with pytest.raises(ValueError, match='not to be published under apache-2.0: the imported weights .*agpl-3.0'):
        detector.push_to_hub('me/agpl', license='apache-2.0')
    folder = detector.save_pretrained(tmp_path / 'agpl')
    card = folder / 'README.md'
    card.write_text(card.read_text(encoding='utf-8').replace('license: agpl-3.0', 'license: mit'), encoding='utf-8')
    with pytest.raises(ValueError, match='not to be published under mit'):
        publish_folder(folder, 'me/agpl', dry_run=True)
    result = CliRunner().invoke(app, ['push', str(folder), 'me/agpl', '--dry-run'])
    assert result.exit_code == 1 and 'not to be published under mit' in str(result.exception)
    for options in ({'license': 'agpl-3.0'}, {'allow_licenses': ['agpl-3.0']}, {'allow_licenses': ['any']}):
        assert publish_folder(folder, 'me/agpl', dry_run=True, **options)
    assert 'license: mit' in card.read_text(encoding='utf-8')


def test_a_dry_run_lists_the_files_and_prints_the_card():
    result = CliRunner().invoke(app, ['push', 'mbv3_yolo_small.synth', 'me/small', '--dry-run'])
    assert result.exit_code == 0, result.output
    for name in ('config.json', 'model.safetensors', 'detector.safetensors', 'predictions.png', 'README.md'):
        assert name in result.output
    assert 'library_name: mbv3zoo' in result.output and '## Licences' in result.output


def test_a_card_on_the_hub_does_not_relabel_what_is_pushed(tmp_path):
    make(AGPL).save_pretrained(tmp_path / 'agpl')
    make(LicenseRecord(backbone=LicensedPart(license='none'), imported=LicensedPart(license='none'))).save_pretrained(
        tmp_path / 'ours'
    )
    with HubServer() as server:
        run_client(
            server,
            """
            from pathlib import Path
            from mbv3zoo.hub.publish import publish_folder

            publish_folder('ours', 'me/first', license='mit')
            try:
                publish_folder('agpl', 'me/first')
            except ValueError as error:
                assert 'me/first has a card that keeps its licence' in str(error), error
                assert 'mit' in str(error) and 'agpl-3.0' in str(error), error
            else:
                raise AssertionError('published')
            # What the library derived from the weights before is renewed with them.
            publish_folder('ours', 'me/second')
            publish_folder('agpl', 'me/second')
            publish_folder('ours', 'me/third', license='mit')
            # The folder stays as it is.
            assert 'license: apache-2.0' in Path('ours/README.md').read_text()
            """,
            tmp_path,
        )
        assert len(server.repos['me/first'].history()) == 2
        assert b'license: agpl-3.0' in server.repos['me/second'].files()['README.md']
        assert b'license: mit' in server.repos['me/third'].files()['README.md']


def test_the_dry_run_shows_what_the_push_would_write():
    options = ['--dry-run', '--license', 'mit']
    result = CliRunner().invoke(app, ['push', 'mbv3_yolo_small.synth', 'me/small', *options])
    assert result.exit_code == 0 and 'license: mit' in result.output
    assert "from_pretrained('me/small')" in result.output and "'hf-hub:me/small'" in result.output


def test_an_explicit_licence_counts_in_card_record_and_refusals(tmp_path):
    ours = {'backbone': LicensedPart(license='none'), 'imported': LicensedPart(license='none')}
    make(LicenseRecord(**ours)).save_pretrained(tmp_path / 'ours')
    make(AGPL).save_pretrained(tmp_path / 'agpl')
    with HubServer() as server:
        run_client(
            server,
            """
            import mbv3zoo
            from huggingface_hub import ModelCard, hf_hub_download
            from mbv3zoo.cli.main import app
            from typer.testing import CliRunner

            def push(folder, *options, ok=True):
                result = CliRunner().invoke(app, ['push', folder, 'org/l', *options])
                assert (result.exit_code == 0) == ok, (result.output, result.exception)
                return str(result.exception)

            def published():
                card = ModelCard.load(hf_hub_download('org/l', 'README.md'))
                named = card.data.get('license_name') or card.data.license
                assert f'The weights as a whole: {named}.' in card.text, card.text
                loaded = mbv3zoo.Detector.from_pretrained('org/l', allow_licenses=[named, 'agpl-3.0'])
                assert loaded.config.licenses.weights in (named, None)
                return card.data.license, card.data.get('license_name'), loaded.config.licenses.weights

            push('ours')
            assert published() == ('apache-2.0', None, None)
            push('ours', '--license', 'AGPL-3.0')
            assert published() == ('agpl-3.0', None, 'agpl-3.0')
            push('ours')
            assert published() == ('agpl-3.0', None, 'agpl-3.0')
            detector = mbv3zoo.Detector.from_pretrained('org/l')
            detector.push_to_hub('org/l2')
            assert mbv3zoo.Detector.from_pretrained('org/l2').config.licenses.weights == 'agpl-3.0'
            detector.push_to_hub('org/l', license='their-own')
            assert published() == ('other', 'their-own', 'their-own')
            detector.push_to_hub('org/l', license='apache-2.0')
            assert published() == ('apache-2.0', None, None)

            # What is published at last must be allowed by what the weights were made from.
            assert 'not to be published under mit' in push('agpl', '--license', 'mit', ok=False)
            push('agpl', '--license', 'mit', '--allow-license', 'agpl-3.0')
            assert published() == ('mit', None, 'mit')
            assert 'org/l has a card that keeps its licence' in push('agpl', ok=False)
            push('agpl', '--license', 'agpl-3.0')
            assert published() == ('agpl-3.0', None, None)
            assert 'not a licence id' in push('ours', '--license', 'a|b', ok=False)
            """,
            tmp_path,
        )
        assert len(server.repos['org/l'].history()) == 7
