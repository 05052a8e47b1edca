import pickle
import pickletools
import random
import struct
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import pytest

from mbv3zoo.convert import inert_pickle
from mbv3zoo.convert.inert_pickle import Global, Record, Reference, read_pickle


def text(value):
    return b'V' + value.encode() + b'\n'


def named(dotted):
    module, _, name = dotted.rpartition('.')
    return f'c{module}\n{name}\n'.encode()


def call(what, *args):
    return what + b'(' + b''.join(args) + b'tR'


def short(value):
    return b'\x8c' + bytes([len(value)]) + value.encode()


SYSTEM = named('os.system')
NAMESPACE = call(named('types.SimpleNamespace'))

# What each would do with plain pickle, given a shell command or a line of Python.
ATTACKS = {
    'reduce': lambda shell, line: call(SYSTEM, text(shell)),
    'subprocess': lambda shell, line: call(named('subprocess.getoutput'), text(shell)),
    'eval': lambda shell, line: call(named('builtins.eval'), text(line)),
    'exec': lambda shell, line: call(named('builtins.exec'), text(line)),
    'python 2 eval': lambda shell, line: call(named('__builtin__.eval'), text(line)),
    'inst': lambda shell, line: b'(' + text(shell) + b'ios\nsystem\n',
    'obj': lambda shell, line: b'(' + SYSTEM + text(shell) + b'o',
    # map acts on iteration, so a class's __new__ is enough.
    'newobj': lambda shell, line: call(
        named('builtins.list'), b'\x80\x02' + named('builtins.map') + b'(' + SYSTEM + b'(' + text(shell) + b'lt\x81'
    ),
    'newobj_ex': lambda shell, line: call(
        named('builtins.list'), b'\x80\x04' + named('builtins.map') + b'(' + SYSTEM + b'(' + text(shell) + b'lt}\x92'
    ),
    # The first BUILD gives the object a __setstate__, the second calls it.
    'build': lambda shell, line: NAMESPACE + b'}(' + text('__setstate__') + SYSTEM + b'ub' + text(shell) + b'b',
    'append': lambda shell, line: NAMESPACE + b'}(' + text('append') + SYSTEM + b'ub' + text(shell) + b'a',
    'getattr': lambda shell, line: call(
        call(named('builtins.getattr'), call(named('builtins.__import__'), text('os')), text('system')), text(shell)
    ),
    'stack_global': lambda shell, line: b'\x80\x04' + short('os') + short('system') + b'\x93(' + text(shell) + b'tR',
    'dotted': lambda shell, line: b'\x80\x04' + short('shutil') + short('os.system') + b'\x93(' + text(shell) + b'tR',
    'inside a list': lambda shell, line: b'](' + call(SYSTEM, text(shell)) + b'e',
}


def attack(name, hit):
    return ATTACKS[name](f'touch {hit}', f'open({str(hit)!r}, "w")') + b'.'


@pytest.mark.parametrize('name', ATTACKS)
def test_nothing_in_a_pickle_is_run(name, tmp_path):
    hit = tmp_path / 'hit'
    read_pickle(attack(name, hit))
    assert not hit.exists()


def test_the_attacks_are_real(tmp_path):
    """Otherwise the test above could not fail."""
    for index, name in enumerate(ATTACKS):
        (tmp_path / f'{index}.pkl').write_bytes(attack(name, tmp_path / f'{index}.hit'))
    code = (
        'import pathlib, pickle, sys\n'
        'for path in pathlib.Path(sys.argv[1]).glob("*.pkl"):\n'
        '    try:\n        pickle.loads(path.read_bytes())\n    except Exception:\n        pass\n'
    )
    subprocess.run([sys.executable, '-c', code, str(tmp_path)], check=True)
    assert [name for index, name in enumerate(ATTACKS) if not (tmp_path / f'{index}.hit').exists()] == []


def test_nothing_is_imported():
    before = set(sys.modules)
    assert 'this' not in before
    found = read_pickle(b'](' + named('this.s') + call(named('torch.hub.load'), text('a/b'), text('c')) + b'e.')
    assert set(sys.modules) == before
    assert found[0] == Global('this.s')
    assert found[1].class_name == 'torch.hub.load' and found[1].args == ('a/b', 'c')


class Thing:
    def __init__(self, **attributes):
        vars(self).update(attributes)


class Names(list):
    pass


class Slotted:
    __slots__ = ('a',)


@pytest.mark.parametrize('protocol', range(5))
def test_plain_values_come_back(protocol):
    value = {'a': [1, -2, 300, 70_000, 2**70, 1.5, True, False, None], 'b': ('é', ('x', 'y', 'z', 'w'), ()), 3: {}}
    assert read_pickle(pickle.dumps(value, protocol)) == value


def test_bytes_and_sets_come_back():
    value = [b'ab', b'c' * 300, {1, 'a'}, frozenset((2, 3)), set()]
    assert read_pickle(pickle.dumps(value, 4)) == value


@pytest.mark.parametrize('protocol', [2, 3, 4])
def test_objects_become_records(protocol):
    thing = Thing(a=1, b=[2])
    thing.own = thing
    record = read_pickle(pickle.dumps(thing, protocol))
    assert isinstance(record, Record) and record.class_name == f'{__name__}.Thing'
    assert record.attributes == {'a': 1, 'b': [2], 'own': record}
    names = read_pickle(pickle.dumps(Names(['x', 'y']), protocol))
    assert names.class_name.endswith('.Names') and names.items == ['x', 'y']
    ordered = read_pickle(pickle.dumps(OrderedDict(b=1, a=2), protocol))
    assert ordered.class_name == 'collections.OrderedDict' and list(ordered.entries.items()) == [('b', 1), ('a', 2)]
    assert read_pickle(pickle.dumps(Path('a') / 'b', protocol)).args == ('a', 'b')
    slotted = Slotted()
    slotted.a = 1
    assert read_pickle(pickle.dumps(slotted, protocol)).attributes == {}


def test_a_persistent_id_is_a_reference():
    assert read_pickle(b'Pstorage 0\n.').pid == 'storage 0'
    found = read_pickle(text('a') + b'Q.')
    assert isinstance(found, Reference) and found.pid == 'a'


@pytest.mark.parametrize('index', [2**31, 2**32 - 1])
def test_a_huge_memo_index_costs_nothing(index):
    number = struct.pack('<I', index)
    assert read_pickle(b'\x80\x02]r' + number + b'0j' + number + b'.') == []


def test_cut_anywhere_it_is_refused():
    data = pickle.dumps([Thing(a=(1, 2.5), b={'c': {3}}), OrderedDict(x=b'y')], 2)
    for length in range(len(data)):
        with pytest.raises(ValueError, match='pickle'):
            read_pickle(data[:length])


def test_with_any_byte_changed_it_is_read_or_refused():
    data = pickle.dumps([Thing(a=(1, 2.5), b={'c': {3}}), OrderedDict(x=b'y'), 'text' * 80], 4)
    generator = random.Random(0)
    refused = 0
    for position in range(len(data)):
        for value in generator.sample(range(256), 16):
            try:
                read_pickle(data[:position] + bytes([value]) + data[position + 1 :])
            except ValueError:
                refused += 1
    assert refused > len(data)


DEEP = b')' + b'\x85' * 200_000

REFUSED = {
    'nothing': b'',
    'no pickle': b'<!doctype html>',
    'no end': b'N',
    'two objects': b'NN.',
    'an open mark': b'(N.',
    'an empty stack': b'0.',
    'an unknown memo': b'h\x07.',
    'a short tuple': b'N\x87.',
    'extension code': b'\x80\x02\x82\x01.',
    'extension code of two bytes': b'\x80\x02\x83\x01\x00.',
    'extension code of four bytes': b'\x80\x02\x84\x01\x00\x00\x00.',
    'a bytearray of a terabyte': b'\x96' + struct.pack('<Q', 2**40) + b'.',
    'bytes of a terabyte': b'\x8e' + struct.pack('<Q', 2**40) + b'.',
    'text of a terabyte': b'\x8d' + struct.pack('<Q', 2**40) + b'.',
    'a buffer outside': b'\x97.',
    'a list as key': b'}]Ns.',
    'a dict as key': b'(}Nd.',
    'a list in a set': b'\x8f(]\x90.',
    'a nested tuple as key': b'}))\x86Ns.',
    # Python would hash this by recursion in C, and crash.
    'a deep tuple as key': b'}' + DEEP + b'Ns.',
    'a deep tuple in a frozenset': b'(' + DEEP + b'\x91.',
    # Many of one hash would make a dict of them take hours.
    'a tuple as key': pickle.dumps({(1, 2): 3}, 2),
    'a float as key': pickle.dumps({1.5: 3}, 2),
    'a large number as key': pickle.dumps({2**61 - 1: 3}, 2),
    'a large number in a set': pickle.dumps({-(2**61)}, 4),
    'a key without a value': b'}(Nu.',
    'an append to a dict': b'}Na.',
    'items for a list': b'](NNu.',
    'elements for a list': b'](N\x90.',
    'a called text': b'Va\n)R.',
    'arguments that are no tuple': b'cos\nsystem\n]R.',
    'a state for a list': b']}b.',
    'a state for a class': b'cos\nsystem\n}b.',
    'a class named by a number': b'K\x01K\x02\x93.',
    'a class with a long name': b'c' + b'a' * 999 + b'\nbc\n.',
    'a number with too many digits': b'I' + b'9' * 10_000 + b'\n.',
}


@pytest.mark.parametrize('name', REFUSED)
def test_what_torch_never_writes_is_refused(name):
    with pytest.raises(ValueError, match='the pickle cannot be read'):
        read_pickle(REFUSED[name])


def test_a_deep_tuple_is_read_where_it_is_no_key():
    found = read_pickle(DEEP + b'.')
    assert isinstance(found, tuple) and len(found) == 1


def test_the_number_of_instructions_is_limited(monkeypatch):
    data = pickle.dumps([[] for _ in range(100)], 2)
    assert len(read_pickle(data)) == 100
    monkeypatch.setattr(inert_pickle, 'MAX_OPCODES', 100)
    with pytest.raises(ValueError, match='more than 100 instructions'):
        read_pickle(data)


def test_every_opcode_is_read_or_refused_on_purpose():
    """A new Python may bring opcodes; those refused today are known by name."""
    known = inert_pickle._VALUES | set(inert_pickle._CONSTANTS) | set(inert_pickle._EMPTY)
    known |= set(inert_pickle._TUPLE_LENGTHS) | {'PROTO', 'FRAME', 'STOP'}
    known |= {name.removeprefix('op_').upper() for name in vars(inert_pickle._Machine) if name.startswith('op_')}
    refused = {opcode.name for opcode in pickletools.opcodes} - known
    assert refused == {'EXT1', 'EXT2', 'EXT4', 'BYTEARRAY8', 'NEXT_BUFFER', 'READONLY_BUFFER'}
