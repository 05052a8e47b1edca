"""What a file of settings may be; every file goes through here, so a test of it stands for all of them."""

import json

import pytest
import yaml

from mbv3zoo.utils import yaml as bounds
from mbv3zoo.utils.yaml import parse_yaml, read_mapping


@pytest.fixture
def write(tmp_path):
    """A function from a text to a file that holds it."""

    def written(text):
        (tmp_path / 'my.yaml').write_text(text, encoding='utf-8')
        return tmp_path / 'my.yaml'

    return written


def test_plain_values_and_aliases_come_as_they_stand(write):
    text = 'a: &shared [1, 2.5, null, true]\nb: {c: *shared}\n3: "1 + 1"\n'
    assert read_mapping(write(text)) == {'a': [1, 2.5, None, True], 'b': {'c': [1, 2.5, None, True]}, 3: '1 + 1'}


# Each list stands for eight of the one before it.
LAUGHS = (
    '[&a [1], '
    + ', '.join(f'&{new} [{", ".join([f"*{old}"] * 8)}]' for old, new in zip('abcdefg', 'bcdefgh', strict=False))
    + ']'
)


@pytest.mark.parametrize(
    'args',
    [
        "[&a [*a]]",
        '[' * 3000 + ']' * 3000,
        '[' + '[' * 60 + '1' + ']' * 60 + ']',
        LAUGHS,
    ],
    ids=['itself', 'deep', 'nested', 'laughs'],
)  # fmt: skip
def test_files_that_repeat_or_nest_without_end(write, args):
    with pytest.raises(ValueError, match='my.yaml(:[0-9]+)?: its lists and mappings have more than'):
        read_mapping(write(f'backbone: [[-1, 3, C3, {args}]]'))


def test_a_file_far_larger_than_any_settings(write):
    with pytest.raises(ValueError, match='my.yaml: has [0-9]+ bytes, expected at most'):
        read_mapping(write('# ' + 'a' * 2**22))


@pytest.mark.parametrize(
    'text',
    ['[' + '1,' * 40 + ']', '- a\n' * 40, '{' + '?,' * 40 + '}', '[' + '{},' * 40 + ']', '[&a 1' + ', *a' * 40 + ']'],
    ids=['list', 'lines', 'keys', 'mappings', 'aliases'],
)
def test_values_are_counted_while_they_are_read(monkeypatch, text):
    monkeypatch.setattr(bounds, 'YAML_VALUES', 30)
    with pytest.raises(ValueError, match=r'my.yaml:\d+: its lists and mappings have more than 30 values'):
        # What comes after the last value that counts is not looked at.
        parse_yaml(f'{text} }}}}', 'my.yaml')


def test_values_of_options_are_bounded_as_files_are():
    with pytest.raises(ValueError, match='--set x: has 1500001 characters, expected at most 1500000 of settings'):
        parse_yaml('a' * 1_500_001, '--set x')


def test_merging_does_not_multiply_without_end(monkeypatch):
    monkeypatch.setattr(bounds, '_MOST_MERGED', 100)
    text = 'a: &a {' + ', '.join(f'k{i}: 1' for i in range(10)) + '}\nb: {<<: [*a' + ', *a' * 20 + ']}'
    with pytest.raises(ValueError, match=r'my.yaml:1: it merges too many mappings \(<<\)'):
        parse_yaml(text, 'my.yaml')


@pytest.mark.parametrize('number', ['1' + ':1' * 300, '1' + ':1' * 300 + '.0', '0.' + '1' * 500, '-' + '9' * 500])
def test_numbers_that_nobody_writes_are_not_computed(write, number):
    with pytest.raises(ValueError, match='my.yaml:1: .* is too large a number'):
        read_mapping(write(f'a: {number}'))
    assert read_mapping(write(f'names: ["{number}"]')) == {'names': [number]}


# YAML's own readings are True, False, 8, 9, 750, 1000, None, None, 1000.0, 31, a date, 0.5, an error, an error.
AS_WRITTEN = ['yes', 'no', '010', '011', '12:30', '1_000', 'null', '~', '1e3', '0x1F', '2020-01-01', '.5', '=', '<<']
LETTERS = ['Käfer', '\U0001f469\u200d\U0001f680', 'a\u00a0b', 'می\u200cخواهم', "it's", '5.', 'On', '.inf', '-0', '1.0']


@pytest.mark.parametrize('key', ['names', 'class_names'])
@pytest.mark.parametrize('name', AS_WRITTEN + LETTERS)
def test_names_are_text_as_it_is_written(write, key, name):
    assert read_mapping(write(f'{key}: [{name}, "{name}", cat]\nx: [no]')) == {key: [name, name, 'cat'], 'x': [False]}
    assert read_mapping(write(f'{key}:\n  - {name}\n')) == {key: [name]}
    assert read_mapping(write(f'{key}:\n  0: {name}\n  01: cat # a cat\n')) == {key: {0: name, 1: 'cat'}}
    # As PyYAML writes it, in run.yaml.
    for unicode in (True, False):
        assert read_mapping(write(yaml.safe_dump({key: [name, 'cat']}, allow_unicode=unicode))) == {key: [name, 'cat']}


def test_quoted_names_keep_their_text(write):
    text = "names: [\" cat \", '', \"a\\u200cb\", 'it''s', !!str no]"
    assert read_mapping(write(text)) == {'names': [' cat ', '', 'a\u200cb', "it's", 'no']}


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('n: &n [yes]\nnames: *n', {'n': [True], 'names': ['yes']}),
        ('base: &b {names: [no], a: 1}\n<<: *b\na: 2', {'base': {'names': [False], 'a': 1}, 'names': ['no'], 'a': 2}),
        ('names: [&a no, *a]', {'names': ['no', 'no']}),
        ('names: {0: a, x: b, 5000000000: c}', {'names': {0: 'a', 'x': 'b', '5000000000': 'c'}}),
        ('names: no', {'names': 'no'}),
        ('class_names: 010', {'class_names': '010'}),
        ('names:', {'names': None}),
        ('names: {0:, 1: }', {'names': {0: '', 1: ''}}),
    ],
)
def test_names_by_aliases_and_in_other_shapes(write, text, expected):
    assert read_mapping(write(text)) == expected


@pytest.mark.parametrize(
    'name', ['[a]', '{a: b}', '!!binary aGk=', '!!python/name:os.system a', '!!int cat', '!own cat', '!!set {a}']
)
@pytest.mark.parametrize('names', ['[cat, {}]', '{{0: cat, 1: {}}}', '{{0: cat, {}: dog}}'])
def test_names_that_are_no_text_are_refused(write, name, names):
    with pytest.raises(ValueError, match='my.yaml:2: (expected the text of a name, given !|the tag !!python/name)'):
        read_mapping(write('x: 1\nnames: ' + names.format(name)))


@pytest.mark.parametrize(
    'text',
    [
        'a: 1\na: 2',
        'b: 1\n"a": {x: 1, y: 2, x: 3}',
        'names: [a]\nnames: [b]',
        'names: {0: a,\n 0: b}',
        'names: {0: a,\n 00: b}',
        'b: [1, {no: 1,\n no: 2}]',
        '<<: {a: 1}\n<<: {b: 1}',
    ],
)
def test_a_key_that_stands_twice_is_refused_with_its_line(write, text):
    with pytest.raises(ValueError, match="my.yaml:2: the key '.*' stands twice.*; remove one$"):
        read_mapping(write(text))


def test_a_key_may_override_a_merged_one(write):
    text = 'a: &a {x: 1}\nb: &b {<<: *a, x: 2}\nc: {<<: [*b, *a], y: 3}'
    assert read_mapping(write(text)) == {'a': {'x': 1}, 'b': {'x': 2}, 'c': {'x': 2, 'y': 3}}


def test_dates_are_text(write):
    assert read_mapping(write('a: 2020-01-01\nb: 2020-99-99\nc: [2001-12-14t21:59:43.10-05:00]\nd: =')) == {
        'a': '2020-01-01', 'b': '2020-99-99', 'c': ['2001-12-14t21:59:43.10-05:00'], 'd': '='
    }  # fmt: skip


@pytest.mark.parametrize(
    ('value', 'expected'),
    [
        ('!!int x', "my.yaml:2: 'x' is no value of the kind !!int"),
        ('!!int ""', "my.yaml:2: '' is no value of the kind !!int"),
        ('!!bool maybe', "my.yaml:2: 'maybe' is no value of the kind !!bool"),
        ('!!float 1:x', "my.yaml:2: '1:x' is no value of the kind !!float"),
        ('9' * 5000, 'my.yaml:2: .* is too large a number'),
        ('0x' + 'f' * 5000, 'my.yaml:2: .* is too large a number'),
        ('9' * 40, 'my.yaml:2: .* is too large a number'),
        ('!!python/object/apply:os.system [ls]', 'my.yaml:2: the tag !!python/object/apply:os.system is refused'),
        ('!!binary aGk=', 'my.yaml:2: the tag !!binary is refused'),
        ('!!timestamp 2020-01-01', 'my.yaml:2: the tag !!timestamp is refused'),
        ('!!set {x}', 'my.yaml:2: the tag !!set is refused'),
        ('!own 5', 'my.yaml:2: the tag !own is refused'),
        ('"\x07"', 'my.yaml: not a YAML file: line 2: it holds the control character 0x07'),
        ('"\0"', 'my.yaml:2: the file is not UTF-8 text'),
        ('[1', 'my.yaml: not a YAML file: line 2: expected'),
        ('*b', "my.yaml: not a YAML file: line 2: found undefined alias 'b'"),
        ('{[1]: 2}', 'my.yaml: not a YAML file: line 2: found unhashable key'),
        ('1\n---\nb: 1', 'my.yaml: not a YAML file: line 3: expected a single document'),
    ],
)  # fmt: skip
def test_what_yaml_chokes_on_is_one_sentence_with_the_line(write, value, expected):
    with pytest.raises(ValueError, match=expected) as caught:
        read_mapping(write(f'x: 1\na: {value}'))
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('name', ['猫', '\U0001f469\u200d\U0001f680', 'a\ud800b'])
def test_json_is_yaml_too(write, name):
    value = {'names': [name, 'no'], 'path': name, name: {'a': [None, True, 0.25]}}
    assert read_mapping(write(json.dumps(value))) == value


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    (tmp_path / 'my.yaml').write_bytes('names: [no]'.encode('utf-8-sig'))
    assert read_mapping(tmp_path / 'my.yaml') == {'names': ['no']}


@pytest.mark.parametrize(
    ('text', 'value'),
    [('0.1', 0.1), ('[1, no]', [1, False]), ('', None), ('2020-99-99', '2020-99-99'), ('{a}', {'a': None})],
)
def test_any_value_of_a_setting(text, value):
    assert parse_yaml(text, '--set lr') == value


def test_a_bad_setting_names_its_source():
    with pytest.raises(ValueError, match="^--set lr: not a YAML file: line 1: expected ',' or"):
        parse_yaml('[0.1', '--set lr')
