import pytest

from mbv3zoo.cards.metadata import explicit_license, merge_metadata

WRITTEN = {'base_model': ['timm/x'], 'datasets': ['me/a', 'me/b'], 'license': 'apache-2.0', 'model_name': 'old'}
OURS = {**WRITTEN, 'library_name': 'mbv3zoo'}


@pytest.mark.parametrize(
    ('changed', 'new', 'expected'),
    [
        # What the library wrote goes, and comes, with the weights.
        ({}, {}, {}),
        ({}, {'base_model': ['timm/y'], 'license': 'agpl-3.0'}, {'base_model': ['timm/y'], 'license': 'agpl-3.0'}),
        ({}, {'license': 'other', 'license_name': 'x'}, {'license': 'other', 'license_name': 'x'}),
        ({'base_model': 'timm/x'}, {}, {}),
        # What a person wrote stays.
        ({'base_model': ['me/own']}, {'base_model': ['timm/y']}, {'base_model': ['me/own']}),
        ({'datasets': ['me/mine']}, {'datasets': ['me/c']}, {'datasets': ['me/mine']}),
        ({'datasets': ['me/a', 'me/b', 'me/mine']}, {'datasets': ['me/c']}, {'datasets': ['me/c', 'me/mine']}),
        ({'datasets': ['me/a', 'me/mine']}, {}, {'datasets': ['me/mine']}),
        ({'license': 'mit'}, {'license': 'agpl-3.0'}, {'license': 'mit'}),
        ({'license': 'other', 'license_name': 'x'}, {'license': 'mit'}, {'license': 'other', 'license_name': 'x'}),
        ({'language': ['de'], 'model_name': 'Mine'}, {}, {'language': ['de'], 'model_name': 'Mine'}),
        ({'license_link': 'https://a'}, {'license': 'apache-2.0'}, {'license': 'apache-2.0', 'license_link': 'https://a'}),
        # The link is about the licence that is gone.
        ({'license_link': 'https://a'}, {'license': 'mit'}, {'license': 'mit'}),
    ],
)  # fmt: skip
def test_what_the_library_wrote_is_told_from_what_people_wrote(changed, new, expected):
    assert merge_metadata({**OURS, **changed}, new, WRITTEN) == expected


def test_all_is_a_persons_where_nobody_knows_what_the_library_wrote():
    old = {'base_model': 'a/b', 'datasets': ['me/a'], 'license': 'mit'}
    assert merge_metadata(old, {'base_model': ['c/d'], 'license': 'gpl-3.0', 'tags': ['x']}, {}) == {
        **old,
        'tags': ['x'],
    }


@pytest.mark.parametrize(
    ('old', 'license', 'expected'),
    [
        ({'license': 'mit'}, 'agpl-3.0', {'license': 'agpl-3.0'}),
        ({'license': 'agpl-3.0', 'license_link': 'https://a'}, 'mit', {'license': 'mit'}),
        ({'license': 'mit', 'license_link': 'https://a'}, 'mit', {'license': 'mit', 'license_link': 'https://a'}),
        ({'license': 'other', 'license_name': 'x', 'license_link': 'y'}, 'mit', {'license': 'mit'}),
        ({'license': 'mit'}, 'dinov3-license', {'license': 'other', 'license_name': 'dinov3-license'}),
        ({}, 'mit', {'license': 'mit'}),
    ],
)
def test_an_explicit_licence_counts_whatever_stood_there(old, license, expected):
    assert {key: value for key, value in explicit_license(old, license).items() if value} == expected
    assert merge_metadata(old, {'license': 'gpl-3.0', 'license_name': 'z'}, {}, license) == expected
