"""Reads a pickle into plain records of what it would import and call, without importing or calling anything."""

from __future__ import annotations

import pickletools
from dataclasses import dataclass, field
from typing import Any

# A training checkpoint of YOLOv5x has about 150,000; one opcode allocates at most a few hundred bytes.
MAX_OPCODES = 1_000_000
MAX_NAME_LENGTH = 200
MAX_KEY = 2**31

_VALUES = {
    *('INT', 'BININT', 'BININT1', 'BININT2', 'LONG', 'LONG1', 'LONG4', 'FLOAT', 'BINFLOAT'),
    *('STRING', 'BINSTRING', 'SHORT_BINSTRING', 'BINBYTES', 'SHORT_BINBYTES', 'BINBYTES8'),
    *('UNICODE', 'SHORT_BINUNICODE', 'BINUNICODE', 'BINUNICODE8'),
}
_CONSTANTS = {'NONE': None, 'NEWTRUE': True, 'NEWFALSE': False}
_EMPTY = {'EMPTY_LIST': list, 'EMPTY_TUPLE': tuple, 'EMPTY_DICT': dict, 'EMPTY_SET': set}
_TUPLE_LENGTHS = {'TUPLE1': 1, 'TUPLE2': 2, 'TUPLE3': 3}


@dataclass(frozen=True)
class Global:
    """The full dotted name of a class or function that the pickle would import."""

    class_name: str


@dataclass(eq=False, repr=False)
class Record:
    """An object that the pickle would create by a call.

    Attributes:
        class_name: Full dotted name of what would be called, such as 'models.common.Conv'.
        args: Positional arguments of the call; keyword arguments are left out.
        state: What would be passed to `__setstate__`; usually the dict of attributes.
        items: What would be appended to it, as for a subclass of list.
        entries: What would be stored in it by key, as for an OrderedDict.
    """

    class_name: str
    args: tuple[Any, ...] = ()
    state: Any = None
    items: list[Any] = field(default_factory=list)
    entries: dict[Any, Any] = field(default_factory=dict)

    @property
    def attributes(self) -> dict[Any, Any]:
        """The attributes by name; empty if `state` holds none."""
        # A class with __slots__ gives a pair: its __dict__ and its slots.
        state = self.state[0] if isinstance(self.state, tuple) and self.state else self.state
        return state if isinstance(state, dict) else {}

    def __repr__(self) -> str:
        # Not the fields: records may refer to each other in cycles.
        return f'Record({self.class_name!r})'


@dataclass(frozen=True, eq=False)
class Reference:
    """A persistent id: the pickle's reference to something stored outside it."""

    pid: Any


def read_pickle(data: bytes) -> Any:
    """Reads a pickle of protocol 0 to 4 without running anything in it.

    Python's own unpickler, restricted by `find_class`, still calls what it is given. Here `pickletools`, the standard
    library's disassembler, splits the bytes into opcodes with plain arguments, and the code below builds None, bools,
    numbers, strings, bytes, tuples, lists, dicts and sets. Opcodes that import make a `Global`, those that call make a
    `Record`, and those that set an object's state store it in the record. No name is ever looked up.

    Args:
        data: The pickle's bytes; bytes after its end are ignored.

    Returns:
        Plain values, with `Record`, `Global` and `Reference` in place of everything else.

    Raises:
        ValueError: The bytes are no pickle, are damaged, or use something that torch does not write: extension codes,
            bytearrays, out-of-band buffers, keys other than strings and small integers.
    """
    machine = _Machine()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if count == MAX_OPCODES:
                raise ValueError(f'more than {MAX_OPCODES} instructions')
            machine.step(opcode.name, argument)
        return machine.result()
    # Damaged bytes may raise anything: an empty stack, a missing key, an unhashable key, an odd length.
    except Exception as error:
        raise ValueError(f'the pickle cannot be read ({type(error).__name__}: {error})') from error


class _Machine:
    """The stack machine that runs a pickle's opcodes."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        # A dict, not a list, as an index may be 2**31.
        self.memo: dict[int, Any] = {}

    def result(self) -> Any:
        if self.marked or len(self.stack) != 1:
            raise ValueError('it ends with unfinished objects')
        return self.stack[0]

    def step(self, name: str, argument: Any) -> None:
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            self.stack.append(_EMPTY[name]())
        elif name in _TUPLE_LENGTHS:
            length = _TUPLE_LENGTHS[name]
            if len(self.stack) < length:
                raise ValueError('a tuple lacks elements')
            self.stack[-length:] = [tuple(self.stack[-length:])]
        elif name not in ('PROTO', 'FRAME', 'STOP'):
            method = getattr(self, f'op_{name.lower()}', None)
            if method is None:
                raise ValueError(f'it uses {name}, which torch.save never writes')
            method(argument)

    def op_mark(self, _: None) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        found = self.stack
        self.stack = self.marked.pop()
        return found

    def op_pop(self, _: None) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.since_mark()

    def op_pop_mark(self, _: None) -> None:
        self.since_mark()

    def op_dup(self, _: None) -> None:
        self.stack.append(self.stack[-1])

    def op_memoize(self, _: None) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def op_put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    op_binput = op_long_binput = op_put

    def op_get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    op_binget = op_long_binget = op_get

    def op_list(self, _: None) -> None:
        found = self.since_mark()
        self.stack.append(found)

    def op_tuple(self, _: None) -> None:
        found = tuple(self.since_mark())
        self.stack.append(found)

    def op_dict(self, _: None) -> None:
        found = self.since_mark()
        target: dict[Any, Any] = {}
        _store(target, found)
        self.stack.append(target)

    def op_frozenset(self, _: None) -> None:
        found = frozenset(map(_key, self.since_mark()))
        self.stack.append(found)

    def op_append(self, _: None) -> None:
        value = self.stack.pop()
        _extend(self.stack[-1], [value])

    def op_appends(self, _: None) -> None:
        values = self.since_mark()
        _extend(self.stack[-1], values)

    def op_setitem(self, _: None) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        _store(self.stack[-1], [key, value])

    def op_setitems(self, _: None) -> None:
        pairs = self.since_mark()
        _store(self.stack[-1], pairs)

    def op_additems(self, _: None) -> None:
        values = self.since_mark()
        if not isinstance(self.stack[-1], set):
            raise ValueError('it adds to something that is no set')
        self.stack[-1].update(map(_key, values))

    def op_global(self, argument: str) -> None:
        self.stack.append(_global(*argument.split(' ')))

    def op_stack_global(self, _: None) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(_global(module, name))

    def op_reduce(self, _: None) -> None:
        args, called = self.stack.pop(), self.stack.pop()
        self.stack.append(_record(called, args))

    op_newobj = op_reduce

    def op_newobj_ex(self, _: None) -> None:
        self.stack.pop()
        self.op_reduce(None)

    def op_inst(self, argument: str) -> None:
        args = tuple(self.since_mark())
        self.stack.append(_record(_global(*argument.split(' ')), args))

    def op_obj(self, _: None) -> None:
        called, *args = self.since_mark()
        self.stack.append(_record(called, tuple(args)))

    def op_build(self, _: None) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if not isinstance(target, Record):
            raise ValueError('it sets the state of something that has none')
        target.state = state

    def op_persid(self, pid: Any) -> None:
        self.stack.append(Reference(pid))

    def op_binpersid(self, _: None) -> None:
        self.stack.append(Reference(self.stack.pop()))


def _global(module: Any, name: Any) -> Global:
    if not isinstance(module, str) or not isinstance(name, str):
        raise ValueError('a class is named by something that is no text')
    # Long names that are used often would let a small file fill the memory.
    if len(module) + len(name) > MAX_NAME_LENGTH:
        raise ValueError(f'the name of a class is longer than {MAX_NAME_LENGTH} characters')
    # Protocols up to 2 use the name that the module had in Python 2.
    return Global(f'{"builtins" if module == "__builtin__" else module}.{name}')


def _record(called: Any, args: Any) -> Record:
    # A Record is called where the pickle would call the result of a call, such as a bound method.
    if not isinstance(called, (Global, Record)) or not isinstance(args, tuple):
        raise ValueError('it calls something that is no class or function')
    return Record(called.class_name, args)


def _extend(target: Any, values: list[Any]) -> None:
    items = target.items if isinstance(target, Record) else target
    if not isinstance(items, list):
        raise ValueError('it appends to something that is no list')
    items.extend(values)


def _store(target: Any, pairs: list[Any]) -> None:
    entries = target.entries if isinstance(target, Record) else target
    if not isinstance(entries, dict) or len(pairs) % 2:
        raise ValueError('it stores keys and values in something that is no dict, or a key without a value')
    entries.update(zip(map(_key, pairs[::2]), pairs[1::2], strict=True))


def _key(value: Any) -> Any:
    # Large numbers, floats and tuples can be chosen to have the same hash, and a dict of them takes hours. (Nested
    # tuples are worse: Python hashes them by unlimited recursion in C.)
    if isinstance(value, (float, complex, tuple, frozenset)) or (isinstance(value, int) and abs(value) > MAX_KEY):
        raise ValueError(f'a {type(value).__name__} is used as a key, which torch.save never needs')
    return value
