import pytest

from mbv3zoo.cards.bounds import CARD_LIMIT, METADATA_LIMIT, check_card
from mbv3zoo.cards.merge import BEGIN, END, edit_library_part, merge_card
from mbv3zoo.hub.publish import card_license

NEW = f'---\nlicense: mit\n---\n{BEGIN}\n# Card\n{END}\n'
LAUGHS = '\n'.join(
    f'{new}: &{new} {{<<: [*{old}, *{old}]}}' for old, new in zip('abcdefghij', 'bcdefghijk', strict=True)
)
BAD = {
    'long': ('x' * (CARD_LIMIT + 1), 'it has 1048577 characters, expected at most 1048576; shorten it'),
    'long metadata': (f'---\na: {"x" * METADATA_LIMIT}\n---\n', 'its metadata have 65539 characters, expected at most'),
    'merges': (f'---\na: &a {{x: 1}}\n{LAUGHS}\n---\n', 'its metadata merge mappings'),
    'deep': (f'---\na: {"[" * 2000}\n---\n', 'its metadata are nested more than 20 deep'),
}


@pytest.mark.parametrize(('card', 'expected'), BAD.values(), ids=BAD)
def test_a_card_larger_than_any_is_refused_before_it_is_parsed(card, expected):
    with pytest.raises(ValueError, match=expected):
        check_card(card)
    with pytest.raises(ValueError, match=f'README.md of the repository.*{expected}'):
        merge_card(card, NEW)
    with pytest.raises(ValueError, match=f'README.md of the folder.*{expected}'):
        merge_card(NEW, card)
    with pytest.raises(ValueError, match=f'README.md: {expected}'):
        card_license(card)


def test_cards_as_people_write_them_pass():
    for card in ('', '# Only text', '---\n---\n', NEW, '---\ntags: [a, b]\nmodel-index:\n- name: x\n---\n---\nrule'):
        check_card(card)


def test_a_card_full_of_the_librarys_marks_is_one_that_was_written_by_hand():
    for card in (BEGIN * 40_000, END + BEGIN, (BEGIN + END) * 2):
        assert edit_library_part(card, str.upper) == card
    assert edit_library_part(f'a{BEGIN}Q{END}c', lambda part: part.replace('Q', 'R')) == f'a{BEGIN}R{END}c'
