import pytest
import yaml

from mbv3zoo.cards.mark import mark_line
from mbv3zoo.cards.merge import BEGIN, END, library_part, merge_card, with_license
from mbv3zoo.cards.render import render_card
from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.config.license_record import LicenseRecord
from mbv3zoo.evaluation.metrics import Metrics


def card(text, **metadata):
    return f'---\n{yaml.safe_dump(metadata, sort_keys=False)}---\n{text}'


def library(text):
    return f'{BEGIN}\n{text}\n{END}\n'


def metadata_of(content):
    return yaml.safe_load(content.split('---')[1])


OLD = card('Above.\n' + library('old') + '\n## Below\n\nMine.\n', license='mit')


def test_only_the_part_of_the_library_is_renewed():
    merged = merge_card(OLD, card(library('new'), license='apache-2.0'))
    assert merged == OLD.replace('\nold\n', '\nnew\n')


@pytest.mark.parametrize('new', [card(library('new'), tags=['a']), card('by hand', library_name='mbv3zoo')])
@pytest.mark.parametrize('old', [OLD, '', 'text only\n', card('by hand\n', tags=['b'])])
def test_merging_again_changes_nothing(old, new):
    merged = merge_card(old, new)
    assert merge_card(merged, new) == merged


def test_an_identical_card_is_left_as_it_is():
    content = f'---\n# why\ntags:   [b, a]\n---\n\n{library("text")}'
    assert merge_card(content, content) == content


@pytest.mark.parametrize(
    ('old', 'new', 'expected'),
    [
        ({'license': 'mit'}, {'license': 'apache-2.0'}, {'license': 'mit'}),
        ({}, {'license': 'apache-2.0'}, {'license': 'apache-2.0'}),
        ({'license': 'mit'}, {'license': 'other', 'license_name': 'x', 'license_link': 'y'}, {'license': 'mit'}),
        ({'language': ['de'], 'datasets': ['a/b']}, {'datasets': ['coco']}, {'language': ['de'], 'datasets': ['a/b']}),
        ({'tags': ['mine', 'timm']}, {'tags': ['timm', 'new']}, {'tags': ['mine', 'timm', 'new']}),
        ({'tags': 'mine'}, {'tags': ['timm']}, {'tags': ['mine', 'timm']}),
        ({'extra': {'deep': [1, None]}}, {}, {'extra': {'deep': [1, None]}}),
        ({'library_name': 'timm', 'pipeline_tag': 'x'}, {'library_name': 'mbv3zoo'}, {'library_name': 'mbv3zoo'}),
        ({'model-index': [{'name': 'old'}]}, {'model-index': [{'name': 'new'}]}, {'model-index': [{'name': 'new'}]}),
        # Figures of other weights are not true of these.
        ({'model-index': [{'name': 'old'}], 'license': 'mit'}, {}, {'license': 'mit'}),
    ],
)
def test_metadata(old, new, expected):
    assert metadata_of(merge_card(card('text', **old), card('text', **new))) == expected


def test_a_card_written_by_hand_keeps_its_text():
    merged = merge_card(card('By hand.\n', license='mit'), card(library('new'), library_name='mbv3zoo'))
    assert merged.endswith('---\nBy hand.\n')
    assert metadata_of(merged) == {'license': 'mit', 'library_name': 'mbv3zoo'}
    assert merge_card('No metadata.\n', card(library('new'), tags=['a'])) == card('No metadata.\n', tags=['a'])


@pytest.mark.parametrize('text', [BEGIN, END + BEGIN, library('a') + library('b'), BEGIN + library('a')])
def test_markers_that_a_person_broke_make_the_text_a_persons(text):
    old = card(f'{text}\nMine.\n', license='mit')
    assert merge_card(old, card(library('new'), license='mit')) == old


def test_an_empty_card_gets_the_text():
    assert merge_card(card('\n', license='mit'), card(library('new'))).endswith(library('new'))
    assert merge_card('', card(library('new'), license='mit')) == card(library('new'), license='mit')


def test_what_was_written_into_the_folder_is_added():
    new = card(library('new') + '\n## Below\n\nMine.\n\nAnd more.\n', license='mit')
    assert merge_card(OLD, new) == OLD.replace('\nold\n', '\nnew\n') + '\nAnd more.\n'


def test_a_folder_whose_card_is_written_by_hand_replaces_the_librarys_part():
    assert merge_card(OLD, card('By hand.\n')) == card('By hand.\n\nAbove.\n\n## Below\n\nMine.\n', license='mit')


@pytest.mark.parametrize('content', ['---\nlicense: [\n---\ntext', '---\n- a\n---\ntext'])
def test_metadata_that_cannot_be_read(content):
    with pytest.raises(ValueError, match=r'Invalid metadata in README\.md of the repository'):
        merge_card(content, card('text', license='mit'))
    with pytest.raises(ValueError, match=r'Invalid metadata in README\.md of the folder'):
        merge_card(card('text', license='mit'), content)


CONFIG = DetectorConfig(
    backbone='resnet18', class_names=['cat', 'dog'], licenses={'backbone': 'none', 'imported': 'none'}
)
MEASURED = {'metrics': Metrics(*[0.6125] * 6, {'cat': 0.6, 'dog': 0.7}, 5, 9), 'dataset': 'me/cats', 'split': 'val'}
ONE, OTHER = '1' * 64, '2' * 64
PERSON = '\n## Notes\n\nMine.\n'
SOURCE = {'license': 'agpl-3.0', 'source': 'them/theirs'}


def rendered(mark=ONE, config=CONFIG, **facts):
    return render_card(config, 1, mark=mark, **facts)


def of(**licenses):
    return CONFIG.model_copy(
        update={'licenses': LicenseRecord.parse({'imported': 'none', 'backbone': 'none'} | licenses)}
    )


def test_of_the_same_weights_the_card_stays_as_it_is():
    old = rendered(**MEASURED, picture=True, name='me/det', command='mbv3zoo train') + PERSON
    assert merge_card(old, rendered()) == old
    windows = old.replace('\n', '\r\n')
    assert merge_card(windows, rendered()) == windows
    converted = rendered(command='mbv3zoo convert a.pt')
    assert merge_card(converted, rendered()) == converted and merge_card(rendered(), converted) == converted
    # Unless there are new figures.
    newer = rendered(**MEASURED, name='me/other')
    assert merge_card(old, newer) == newer.rstrip('\n') + PERSON


def test_of_other_weights_figures_and_picture_go_and_notes_stay():
    old = rendered(**MEASURED, picture=True) + PERSON
    merged = merge_card(old, rendered(OTHER))
    assert metadata_of(merged) == metadata_of(rendered(OTHER)) and library_part(merged) == library_part(rendered(OTHER))
    assert (
        merged.endswith(PERSON) and '0.61' not in merged and 'predictions.png' not in merged and 'me/cats' not in merged
    )


def test_of_the_same_weights_what_they_were_made_from_is_renewed():
    old = rendered(**MEASURED, picture=True)
    merged = merge_card(old, rendered(config=of(imported=SOURCE)))
    data = metadata_of(merged)
    assert data['base_model'] == ['them/theirs'] and data['license'] == 'agpl-3.0' and data['datasets'] == ['me/cats']
    assert data['model-index'] == metadata_of(old)['model-index'] and 'predictions.png' in merged
    assert '| imported weights | agpl-3.0 | them/theirs |' in merged and 'The weights as a whole: agpl-3.0.' in merged
    again = merge_card(merged, rendered())
    assert again == old


def test_a_picture_of_the_same_weights_is_shown_in_their_card():
    merged = merge_card(rendered(**MEASURED), rendered(picture=True))
    assert merged == rendered(**MEASURED, picture=True)


def test_a_card_of_an_older_version_gets_a_mark_where_it_is_about_the_same_weights():
    old = rendered('', **MEASURED)
    assert merge_card(old, rendered()) == rendered(config=CONFIG)
    assert merge_card(old, rendered(), same_weights=True) == old.replace(END, f'{mark_line(ONE)}\n{END}')


@pytest.mark.parametrize('known', [True, False])
def test_metadata_of_the_library_under_a_text_by_hand(known):
    data = metadata_of(rendered(config=of(imported=SOURCE), **MEASURED))
    merged = merge_card(
        card('By hand.\n', **data), rendered(OTHER), before=of(imported=SOURCE).licenses if known else None
    )
    assert merged.endswith('---\nBy hand.\n') and 'model-index' not in metadata_of(merged)
    assert ('base_model' in metadata_of(merged)) != known
    assert metadata_of(merged)['license'] == ('apache-2.0' if known else 'agpl-3.0')


def test_the_text_names_the_licence_of_the_metadata():
    by_hand = rendered().replace('license: apache-2.0', 'license: mit')
    for merged in (merge_card(by_hand, rendered(OTHER)), with_license(by_hand)):
        assert metadata_of(merged)['license'] == 'mit' and 'as a whole: mit.' in merged
    given = with_license(by_hand + PERSON, 'dinov3-license')
    assert metadata_of(given)['license_name'] == 'dinov3-license' and 'as a whole: dinov3-license.' in given
    assert given.endswith(PERSON) and with_license(given, 'dinov3-license') == with_license(given) == given
    for license in ('gpl-3.0', 'apache-2.0'):
        merged = merge_card(by_hand, rendered(OTHER), license=license)
        assert metadata_of(merged)['license'] == license and f'as a whole: {license}.' in merged
