"""The card of a folder that a detector is saved in again."""

import shutil

import pytest
import torch
import yaml

import mbv3zoo
from mbv3zoo.cards.folder import folder_mark, outdated_files, renew_card
from mbv3zoo.cards.mark import find_mark
from mbv3zoo.cards.merge import names_same_classes
from mbv3zoo.cards.render import render_card
from mbv3zoo.config.license_record import LicenseRecord
from mbv3zoo.evaluation.metrics import Metrics
from mbv3zoo.hub.publish import publish_folder, published_card

FACTS = {'metrics': Metrics(*[0.6125] * 6, {}, 5, 9), 'dataset': 'me/cats', 'split': 'val'}
NOTES = '\n## Notes\n\nMine.\n'


@pytest.fixture(scope='module')
def detector():
    torch.manual_seed(0)
    return mbv3zoo.create_detector('mbv3_yolo_small_050', class_names=['cat', 'dog'], image_size=64).eval()


@pytest.fixture(scope='module')
def measured(detector, tmp_path_factory):
    folder = tmp_path_factory.mktemp('measured')
    detector.save_pretrained(folder, card_data=FACTS, picture=b'picture')
    card = folder / 'README.md'
    card.write_text(card.read_text().replace('pipeline_tag', 'language: de\npipeline_tag') + NOTES)
    return folder


@pytest.fixture
def folder(measured, tmp_path):
    shutil.copytree(measured, tmp_path / 'saved')
    return tmp_path / 'saved'


def read(folder):
    card = (folder / 'README.md').read_text()
    return card, yaml.safe_load(card.split('---')[1])


def test_saving_the_same_weights_changes_nothing(folder, detector):
    before = read(folder)
    for other in (detector, mbv3zoo.Detector.from_pretrained(folder)):
        other.save_pretrained(folder)
        assert read(folder) == before and (folder / 'predictions.png').read_bytes() == b'picture'


def halved(detector, folder):
    detector.save_pretrained(folder, dtype=torch.float16)


def of_other_classes(detector, folder):
    mbv3zoo.create_detector(folder, pretrained=True, class_names=['a', 'b', 'c']).save_pretrained(folder)


def trained(detector, folder):
    other = mbv3zoo.Detector.from_pretrained(folder)
    other.head.convs[0].bias.data[0] += 1
    other.save_pretrained(folder)


def for_another_size(detector, folder):
    mbv3zoo.create_detector(folder, pretrained=True, image_size=96).save_pretrained(folder)


def of_another_kind(detector, folder):
    mbv3zoo.create_detector('mbv3_yolo_small_075', num_classes=2, image_size=64).save_pretrained(folder)


@pytest.mark.parametrize('save', [halved, of_other_classes, trained, for_another_size, of_another_kind])
def test_of_other_weights_figures_and_picture_go_and_what_people_wrote_stays(folder, detector, save):
    save(detector, folder)
    card, data = read(folder)
    assert 'model-index' not in data and '0.61' not in card and 'me/cats' not in card
    assert data['language'] == 'de' and card.endswith(NOTES)
    assert 'predictions.png' not in card and not (folder / 'predictions.png').exists()
    config, mark = folder_mark(folder)
    assert find_mark(card) == mark and f'for {config.num_classes} classes: {", ".join(config.class_names)}.' in card
    # Those of these weights come back with the next evaluation.
    mbv3zoo.Detector.from_pretrained(folder).save_pretrained(folder, card_data=FACTS, picture=b'new')
    card, data = read(folder)
    assert 'model-index' in data and '0.61' in card and (folder / 'predictions.png').read_bytes() == b'new'
    assert card.endswith(NOTES)


def test_what_was_stored_in_halves_is_the_same_weights_when_it_is_loaded(folder, detector):
    detector.save_pretrained(folder, dtype=torch.float16, card_data=FACTS)
    before = read(folder)
    mbv3zoo.Detector.from_pretrained(folder).save_pretrained(folder)
    assert read(folder) == before


def test_a_card_without_a_mark_is_about_the_weights_beside_it(folder, detector):
    path = folder / 'README.md'
    path.write_text(path.read_text().replace('mbv3zoo:weights', 'gone'))
    detector.save_pretrained(folder)
    assert 'model-index' in read(folder)[1]
    path.write_text(
        path.read_text().replace('mbv3zoo:weights', 'gone').replace('2 classes: cat, dog', '1 classes: hen')
    )
    detector.save_pretrained(folder)
    assert 'model-index' not in read(folder)[1] and '2 classes: cat, dog.' in read(folder)[0]


def test_by_hand_or_anew(folder, detector):
    path = folder / 'README.md'
    path.write_text('By hand.\n')
    detector.save_pretrained(folder)
    assert path.read_text() == 'By hand.\n' and (folder / 'predictions.png').exists()
    detector.save_pretrained(folder, card_data={'license': 'mit'})
    assert read(folder)[0].endswith('---\nBy hand.\n') and read(folder)[1]['license'] == 'mit'
    detector.save_pretrained(folder)
    assert read(folder)[0].endswith('---\nBy hand.\n') and read(folder)[1]['license'] == 'mit'
    detector.save_pretrained(folder, keep_card=False)
    assert 'By hand' not in read(folder)[0] and 'language' not in read(folder)[1]


@pytest.mark.parametrize('content', [b'---\nlicense: [\n---\nMine.\n', b'\xff\xfe'])
def test_a_card_that_cannot_be_read_is_set_aside(folder, detector, content, caplog):
    (folder / 'README.md').write_bytes(content)
    (folder / 'README.md.damaged-1').write_bytes(b'earlier')
    detector.save_pretrained(folder)
    assert (folder / 'README.md.damaged-2').read_bytes() == content and 'README.md.damaged-2' in caplog.text
    assert read(folder)[1]['library_name'] == 'mbv3zoo'


@pytest.mark.parametrize(
    ('before', 'given'), [('apache-2.0', 'AGPL-3.0'), ('agpl-3.0', 'Apache 2.0'), ('mit', 'gpl-3.0')]
)
def test_an_explicit_licence_counts_in_card_and_record(folder, detector, before, given):
    path = folder / 'README.md'
    path.write_text(path.read_text().replace('license: apache-2.0', f'license: {before}'))
    detector.save_pretrained(folder)
    assert read(folder)[1]['license'] == before and f'as a whole: {before}.' in read(folder)[0]
    detector.save_pretrained(folder, card_data={'license': given})
    expected = given.lower().replace(' ', '-')
    assert read(folder)[1]['license'] == expected and f'as a whole: {expected}.' in read(folder)[0]
    loaded = mbv3zoo.Detector.from_pretrained(folder, allow_licenses=[expected])
    assert loaded.config.licenses.weights == (None if expected == 'apache-2.0' else expected)
    # It goes on to what is made of these weights.
    tuned = mbv3zoo.create_detector(folder, pretrained=True, num_classes=5).save_pretrained(folder.with_name('tuned'))
    assert read(tuned)[1]['license'] == expected
    assert mbv3zoo.create_detector(folder).config.licenses.weights is None


def test_a_folder_is_published_with_a_card_of_its_own_weights(folder, detector, tmp_path):
    assert '0.61' in published_card(folder, 'me/det')
    # Of another folder.
    other = mbv3zoo.create_detector('mbv3_yolo_small_075', num_classes=3, image_size=64).save_pretrained(tmp_path / 'b')
    shutil.copy(folder / 'README.md', other)
    card = published_card(other, 'me/det')
    assert '0.61' not in card and '3 classes: 0, 1, 2.' in card and card.endswith(NOTES)
    assert find_mark(card) == folder_mark(other)[1]
    # The picture of the other weights is not sent.
    shutil.copy(folder / 'predictions.png', other)
    for place, sent in ((other, False), (folder, True)):
        assert ('predictions.png' in dict(publish_folder(place, 'me/det', dry_run=True))) == sent
    # Of the same weights, whose record was corrected by hand.
    path = folder / 'config.json'
    path.write_text(path.read_text().replace('"source": ""', '"source": "me/base"').replace('"none"', '"gpl-3.0"'))
    card = published_card(folder, 'me/det', allow_licenses='any')
    assert '0.61' in card and '| backbone weights | gpl-3.0 | me/base |' in card and 'license: gpl-3.0' in card


def test_classes_and_pictures_of_cards():
    config = mbv3zoo.DetectorConfig(backbone='resnet18', num_classes=2, licenses=LicenseRecord())
    card, shown = render_card(config, 1), render_card(config, 1, picture=True)
    assert names_same_classes(card, shown) and names_same_classes('', card)
    assert not names_same_classes(card, card.replace('2 classes', '3 classes'))
    assert outdated_files(shown, card) == ('predictions.png',) and outdated_files(card, shown) == ()
    # A person shows it too.
    assert outdated_files(shown, f'<img src="predictions.png">\n{card}') == ()


def test_nothing_is_there_yet(tmp_path):
    for place in (tmp_path, tmp_path / 'new', tmp_path / ('x' * 300)):
        assert renew_card(place, 'card') == ('card', {}, ())


def test_metadata_that_cannot_be_read_are_told_with_their_card(folder):
    (folder / 'README.md').write_text('---\nlicense: [\n---\nMine.\n')
    with pytest.raises(
        ValueError, match=r'^Invalid metadata in .*saved.README\.md: while parsing .*; correct the card$'
    ):
        published_card(folder, 'me/det')
