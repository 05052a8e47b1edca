import json
import os
from pathlib import Path

import pytest

from mbv3zoo.utils.text import (
    aligned,
    is_text,
    is_utf8,
    json_text,
    nearest,
    one_line,
    printable,
    read_bytes,
    read_text,
    utf8,
)


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig'])
def test_a_text_is_read_with_or_without_a_byte_order_mark(tmp_path, encoding):
    (tmp_path / 'a.txt').write_bytes('Käfer\r\n猫\r\n\rend'.encode(encoding))
    assert read_text(tmp_path / 'a.txt') == 'Käfer\n猫\n\nend'
    (tmp_path / 'a.txt').write_bytes(''.encode(encoding))
    assert read_text(tmp_path / 'a.txt') == ''


@pytest.mark.parametrize(
    ('data', 'expected'),
    [
        ('one\ntwo\nKäfer'.encode('latin-1'), 'a.txt:3: the file is not UTF-8 text'),
        ('one\r\nKäfer\r\n'.encode('cp1252'), 'a.txt:2: the file is not UTF-8 text'),
        (b'\xef\xbb\xbfone\rtwo\r\xff', 'a.txt:3: the file is not UTF-8 text'),
        ('猫\n'.encode('shift-jis'), 'a.txt:1: the file is not UTF-8 text'),
        (b'one\ntwo\0', 'a.txt:2: the file is not UTF-8 text'),
        ('one\ntwo'.encode('utf-16'), 'a.txt:1: the file is UTF-16 text'),
        ('one\ntwo'.encode('utf-16-be'), 'a.txt:1: the file is UTF-16 text'),
        (b'one\n\xf0\x9f\x98', 'a.txt:2: the file is not UTF-8 text'),
    ],
)
def test_another_encoding_is_refused_with_the_line(tmp_path, data, expected):
    (tmp_path / 'a.txt').write_bytes(data)
    with pytest.raises(ValueError, match=f'{expected}; save it as UTF-8$'):
        read_text(tmp_path / 'a.txt')


def test_columns_are_aligned():
    assert aligned([['a', 'bcd', ''], ['ef', 'g', 'h']]) == ['a   bcd', 'ef  g    h']
    assert aligned([]) == []


@pytest.mark.parametrize(
    ('text', 'line'), [('', ''), ('a\n b\tc', 'a b c'), ('12345678', '12345678'), ('123456789', '12345...')]
)
def test_one_line(text, line):
    assert one_line(text, 8) == line


def test_nearest_names():
    assert nearest('cta', ['cat', 'dog'], 'none') == 'did you mean cat?'
    assert nearest('zebra', ['cat', 'dog'], 'the classes are cat, dog') == 'the classes are cat, dog'
    assert nearest('', [], 'nothing') == 'nothing'


@pytest.mark.parametrize(
    'text',
    [
        'Käfer',
        '猫 犬',
        'می\u200cخواهم',  # a zero-width non-joiner
        '\U0001f469\u200d\U0001f680',  # joined emoji
        '\u2764\ufe0f',  # a variation selector
        '\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f',  # a flag of tags
        '\U0001fae8',  # newer than this Python may know
        'a\u00a0b\u3000c\u202fd',  # spaces
        'so\u00adft',
        'שלום\u200f!',
        'ก\u200bข',
        '',
    ],
)
def test_words_of_any_script_are_text(text):
    assert all(map(is_text, text))


@pytest.mark.parametrize(
    'character',
    [
        '\n',
        '\r',
        '\t',
        '\0',
        '\x1b',
        '\x7f',
        '\x85',
        '\u2028',
        '\u2029',
        '\ud800',
        '\u202e',
        '\u202a',
        '\u2066',
        '\u2069',
    ]
    + ['\ufeff', '\uffff', '\u0378', '\ufdd0'],
)
def test_what_breaks_a_line_is_no_text(character):
    assert not is_text(character)


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('Käfer 猫 👩\u200d🚀.jpg', 'Käfer 猫 👩\u200d🚀.jpg'),
        ('a\nb\r\tc', 'a\\nb\\r\\tc'),
        ('\x1b[31mred\x00\x7f', '\\x1b[31mred\\x00\\x7f'),
        (os.fsdecode(b'\xff.jpg'), '\\udcff.jpg'),
        ('a\u202egpj.exe\u2028', 'a\\u202egpj.exe\\u2028'),
    ],
)
def test_what_is_no_text_is_escaped_for_terminals(text, expected):
    assert printable(text) == expected


@pytest.mark.parametrize('name', ['\udcff.jpg', 'a\\udcff', 'a"\\', '猫', 'a\n'])
def test_json_holds_any_name_as_utf8(name):
    text = json_text({'path': name})
    assert json.loads(text.encode('utf-8').decode('utf-8')) == {'path': name}
    assert ('猫' in text) == (name == '猫')


def test_names_that_are_no_utf8():
    assert utf8('猫\udcff') == '猫\\udcff'.encode()
    assert is_utf8(Path('猫/a')) and not is_utf8(Path('\udcff/a'))


def test_a_file_with_more_bytes_than_its_kind_has_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / 'a.txt'
    path.write_bytes(b'12345')
    assert read_bytes(path, 5) == b'12345' and read_text(path, 5, 'labels') == '12345'
    with open(path, 'r+b') as file:
        file.truncate(2**40)  # a file with a hole, so it takes no space
    monkeypatch.setattr('builtins.open', None)
    with pytest.raises(ValueError, match='a.txt: has 1099511627776 bytes, expected at most 5 of labels; check that it'):
        read_text(path, 5, 'labels')
    with pytest.raises(ValueError, match='a.txt: has [0-9]+ bytes, expected at most [0-9]+; check that it'):
        read_text(path)


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='Windows has no such pipes')
def test_pipes_that_nobody_writes_to_and_devices_without_end_are_refused(tmp_path):
    os.mkfifo(tmp_path / 'a.txt')
    with pytest.raises(ValueError, match='a.txt: is a pipe or a socket, expected a file'):
        read_text(tmp_path / 'a.txt')
    with pytest.raises(ValueError, match='/dev/zero: has 101 bytes, expected at most 100'):
        read_bytes(Path('/dev/zero'), 100)
    # What the shell's `<(...)` passes.
    source, target = os.pipe()
    os.write(target, b'a: 1')
    os.close(target)
    assert read_text(Path(f'/dev/fd/{source}')) == 'a: 1'
    os.close(source)
