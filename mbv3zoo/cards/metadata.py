"""Merging the metadata of a published card with those that the library writes now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mbv3zoo.licenses import hub_license

# True of the weights that are pushed, whatever stood there before.
_OWNED = ('library_name', 'pipeline_tag', 'model-index')
# These follow from what the weights were made from. Where another value or a further one stands in the card than the
# library wrote, a person corrected it.
_LISTS = ('base_model', 'datasets')
_LICENSE = ('license', 'license_name', 'license_link')


def merge_metadata(
    old: Mapping[str, Any], new: Mapping[str, Any], written: Mapping[str, Any], license: str | None = None
) -> dict[str, Any]:
    """The metadata to publish.

    Args:
        old: The metadata of the published card.
        new: Those that are to be published.
        written: What the library wrote into `old` of what follows from the sources of the weights: `base_model`,
            `datasets`, `license`, `license_name`, and `model_name`. All other values there are a person's, and stay.
        license: A licence that was given explicitly: it counts, whatever stood there.
    """
    data: dict[str, Any] = {}
    for key in [*old, *(key for key in new if key not in old)]:
        if key in _LICENSE:
            data[key] = None  # keeps its place
        elif key in _OWNED or key not in old:
            data[key] = new.get(key)
        elif key in _LISTS:
            data[key] = _renewed(old[key], written.get(key) or [], new.get(key))
        elif key == 'model_name' and old[key] == written.get(key):
            data[key] = new.get(key)
        elif key == 'tags' and key in new:
            data[key] = list(dict.fromkeys([*_listed(old[key]), *_listed(new[key])]))
        else:
            data[key] = old[key]
    data |= _license(old, new, written, license)
    return {key: value for key, value in data.items() if value is not None}


def explicit_license(old: Mapping[str, Any], license: str) -> dict[str, Any]:
    """The three values about a licence that was given explicitly; `license_link` stays with the licence that it is of.

    Args:
        old: The metadata before.
        license: A licence id.
    """
    given = dict(zip(_LICENSE, (*hub_license(license), None), strict=True))
    if _is_same(old, given):
        given['license_link'] = old.get('license_link')
    return given


def _license(
    old: Mapping[str, Any], new: Mapping[str, Any], written: Mapping[str, Any], license: str | None
) -> dict[str, Any]:
    if license is not None:
        return explicit_license(old, license)
    own = 'license' not in old or _is_same(old, written)
    # Where the library writes the same again, a link that a person added stays.
    source = new if own and not _is_same(old, new) else old
    return {key: source.get(key) for key in _LICENSE}


def _is_same(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two cards name the same licence."""
    return all(first.get(key) == second.get(key) for key in _LICENSE[:2])


def _renewed(old: Any, written: Any, new: Any) -> Any:
    """A list that the library wrote and people may have added to."""
    values, before, now = _listed(old), _listed(written), [] if new is None else _listed(new)
    if values == before:
        return new
    if values and not any(value in before for value in values):
        return old
    return [*now, *(value for value in values if value not in before and value not in now)] or None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
