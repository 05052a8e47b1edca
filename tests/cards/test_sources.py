import pytest

from mbv3zoo.cards.render import license_table, render_card
from mbv3zoo.cards.sources import is_hub_id, metadata_of, written_metadata
from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.config.license_record import LicenseRecord

PRETRAINED = {'license': 'apache-2.0', 'source': 'timm/resnet18.a1_in1k'}
RECORDS = {
    'nothing': ({'backbone': 'none', 'imported': 'none'}, {'license': 'apache-2.0'}),
    'all': (
        {
            'backbone': PRETRAINED,
            'imported': {'license': 'agpl-3.0', 'source': 'them/theirs'},
            'data': [{'license': 'mit', 'source': 'me/cats'}, {'license': 'mit', 'source': 'a | b <c>'}],
        },
        {'base_model': ['timm/resnet18.a1_in1k', 'them/theirs'], 'datasets': ['me/cats'], 'license': 'agpl-3.0'},
    ),
    'unknown': ({}, {'license': 'unknown'}),
    'not on the Hub': (
        {'backbone': {'license': 'dinov3-license'}, 'imported': 'none'},
        {'license': 'other', 'license_name': 'dinov3-license'},
    ),
    'named': ({'backbone': 'none', 'imported': 'none', 'weights': 'mit'}, {'license': 'apache-2.0'}),
}


@pytest.mark.parametrize(('record', 'expected'), RECORDS.values(), ids=RECORDS)
def test_what_the_library_wrote_into_the_metadata_is_known_by_its_tables(record, expected):
    record = LicenseRecord.parse(record)
    assert metadata_of(record) == expected
    config = DetectorConfig(backbone='resnet18', num_classes=2, licenses=record)
    card = render_card(config, 1, name='me/det')
    for text in (card, card.replace('\n', '\r\n')):
        assert written_metadata(text) == {**expected, 'model_name': 'me/det'}
    assert license_table(record) in card


def test_the_dataset_of_the_figures_counts_too():
    card = render_card(DetectorConfig(backbone='resnet18', num_classes=2), 1, dataset='me/cats')
    assert written_metadata(card)['datasets'] == ['me/cats']


def test_tables_that_a_person_edited_are_read_as_far_as_they_can_be():
    rows = '| backbone weights | a b | timm/x |\n| imported weights | %$ | me/x |\n| data | mit | me/a |\n| data |'
    assert written_metadata(f'\n## Licences\n{rows}\n') == {'datasets': ['me/a'], 'license': 'apache-2.0'}
    assert written_metadata('') == {} and written_metadata('# A\n| data | me/a |\n') == {'model_name': 'A'}


def test_ids_of_the_hub():
    assert is_hub_id('a/b') and not any(map(is_hub_id, ['a', 'a/b/c', 'a/..', 'a b/c', '']))
