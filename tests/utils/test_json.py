import pytest

from mbv3zoo.utils import json as bounds
from mbv3zoo.utils.json import parse_json, parse_settings


def test_settings_are_the_values_that_stand_there():
    assert parse_settings('{"a": [1, 2.5, null, "\\u00e4"]}') == {'a': [1, 2.5, None, 'ä']}


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('{"a": 1, "b": 2, "a": 1}', "the key 'a' stands twice; remove one"),
        ('{"x": {"a": 1, "a": 2}}', "the key 'a' stands twice"),
        ('[NaN]', 'NaN is no number of JSON'),
        ('[-Infinity]', '-Infinity is no number of JSON'),
        ('9' * 5000, 'a number in it has thousands of digits'),
        ('[' * 21 + '1' + ']' * 21, 'more than 500000 values .*, or more than 20 levels'),
        ('{"a":' * 30 + '1' + '}' * 30, 'more than 500000 values .*, or more than 20 levels'),
        ('[' * 100_000, 'nested too deeply'),
        ('{"a":', 'Expecting value'),
    ],
)
def test_what_settings_never_hold_is_refused_in_words(text, expected):
    with pytest.raises(ValueError, match=expected):
        parse_settings(text)


def test_settings_of_more_letters_or_values_than_any_are_refused(monkeypatch):
    monkeypatch.setattr(bounds, 'SETTINGS_VALUES', 3)
    assert parse_settings('[1, 2]') == [1, 2]
    with pytest.raises(ValueError, match='more than 3 values'):
        parse_settings('[1, 2, 3]')
    monkeypatch.setattr(bounds, 'SETTINGS_LIMIT', 5)
    with pytest.raises(ValueError, match='it has 6 characters, expected at most 5 of settings'):
        parse_settings('[1, 2]')


def test_data_may_be_of_any_size_and_say_nan():
    assert len(parse_json('[' + '1,' * 600_000 + 'NaN]')) == 600_001
    assert parse_json('{"a": 1, "a": 2}') == {'a': 2}
    with pytest.raises(ValueError, match='thousands of digits'):
        parse_json('1' * 5000)
