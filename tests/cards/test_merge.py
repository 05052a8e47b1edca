import pytest
import yaml

from mbv3zoo.cards.merge import BEGIN, END, merge_card


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
