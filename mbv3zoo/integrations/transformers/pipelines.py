"""A detector's weights by their name in transformers' `pipeline`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import wrapt
from transformers import pipelines

from mbv3zoo.integrations.transformers.configuration_auto import place_of


def _pipeline(wrapped: Callable[..., Any], instance: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    task, *others = args or (None,)
    if others:
        others[0] = place_of(others[0])
    elif 'model' in kwargs:
        kwargs = {**kwargs, 'model': place_of(kwargs['model'])}
    return wrapped(*([task, *others] if args else ()), **kwargs)


wrapt.wrap_function_wrapper(pipelines, 'pipeline', _pipeline)
