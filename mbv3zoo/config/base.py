"""The base of all settings: typed, immutable, with readable errors."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

# How error messages show a value, which may come from anywhere and be of any size.
_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxlist, _SHORT.maxtuple, _SHORT.maxdict = 4, 10, 10, 10
_SHORT.maxstring = _SHORT.maxother = 200

# Most faults that one message names: a list of wrong values has one for each.
_MOST_FAULTS = 8

# Kinds of pydantic's errors by the start of their names -> what was expected.
_EXPECTED = {
    'missing': 'is missing',
    'greater_than_equal': 'expected a number greater than or equal to {ge:g}',
    'greater_than': 'expected a number greater than {gt:g}',
    'less_than_equal': 'expected a number less than or equal to {le:g}',
    'less_than': 'expected a number less than {lt:g}',
    'finite_number': 'expected a finite number',
    'float_': 'expected a number',
    'int_': 'expected an integer',
    'bool_': 'expected true or false',
    'string_type': 'expected a string',
    'string_too_long': 'expected at most {max_length} characters',
    'too_long': 'expected at most {max_length} items',
    'too_short': 'expected at least {min_length} items',
    'tuple_type': 'expected a list',
    'list_type': 'expected a list',
    'dict_type': 'expected a mapping',
    'model_': 'expected a mapping of settings',
    'literal_error': 'expected {expected}',
}


if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass as _Checked
else:

    class _Checked(type(BaseModel)):
        """Errors of `TrainConfig(epochs=0)` are those of `TrainConfig.parse`."""

        def __call__(cls, *args, **settings):
            try:
                return super().__call__(*args, **settings)
            except ValidationError as error:
                raise ValueError(_sentence(error)) from None


class Config(BaseModel, metaclass=_Checked):
    """Base of all settings: frozen, and an unknown key is refused with the nearest known name."""

    # No infinity or NaN: JSON, which configs are saved as, has neither. The docstring under a field is its description:
    # `TrainConfig.model_fields['lr'].description`.
    model_config = ConfigDict(extra='forbid', frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    @model_validator(mode='before')
    @classmethod
    def _name_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            for key in data:
                if key not in cls.model_fields:
                    near = difflib.get_close_matches(str(key), cls.model_fields, n=1, cutoff=0.5)
                    hint = f'did you mean {near[0]!r}?' if near else f'known keys: {", ".join(cls.model_fields)}'
                    raise ValueError(f'unknown key {key!r}; {hint}')
        return data

    @classmethod
    def parse(cls, data: Mapping[str, Any], source: str | Path = '') -> Self:
        """Validates settings.

        Args:
            data: Field -> value, as from a YAML file.
            source: Name used in error messages.

        Raises:
            ValueError: A key is unknown or a value does not fit; all of them are named, up to eight.

        Example:
            >>> mbv3zoo.TrainConfig.parse({'epochs': 10, 'lr': 0.01}, 'train.yaml').epochs
            10
            >>> mbv3zoo.TrainConfig.parse({'epoch': 10}, 'train.yaml')
            Traceback (most recent call last):
            ValueError: train.yaml: unknown key 'epoch'; did you mean 'epochs'?
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise ValueError((f'{source}: ' if str(source) else '') + _sentence(error)) from None


def _sentence(error: ValidationError) -> str:
    """What does not fit, the first of it, on one line."""
    parts = []
    found = error.errors(include_url=False)
    for item in found[:_MOST_FAULTS]:
        place = ''.join(f'{part}.' for part in item['loc'])[:-1]
        given = '' if isinstance(item['input'], Mapping) else f' (given: {_SHORT.repr(item["input"])})'
        kind = next((kind for kind in _EXPECTED if item['type'].startswith(kind)), None)
        own = item['msg'].removeprefix('Value error, ').replace('Input should be', 'expected', 1)
        text = own if kind is None else _EXPECTED[kind].format(**item.get('ctx', {}))
        parts.append((f'{place}: ' if place else '') + text + given)
    more = len(found) - len(parts)
    return '; '.join(parts) + (f'; and {more} more' if more else '')
