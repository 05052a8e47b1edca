"""The base of all settings: typed, immutable, with readable errors."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

# How error messages show a value, which may come from anywhere and be of any size.
_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxlist, _SHORT.maxtuple, _SHORT.maxdict = 4, 10, 10, 10
_SHORT.maxstring = _SHORT.maxother = 200


class Config(BaseModel):
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
            ValueError: A key is unknown or a value does not fit; all of them are named.

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
            lines = []
            for item in error.errors(include_url=False):
                place = ''.join(f'{part}.' for part in item['loc'])[:-1]
                given = '' if isinstance(item['input'], Mapping) else f' (given: {_SHORT.repr(item["input"])})'
                lines.append((f'{place}: ' if place else '') + item['msg'].removeprefix('Value error, ') + given)
            raise ValueError((f'{source}: ' if str(source) else '') + '; '.join(lines)) from None
