"""What a detector was made from, and under which licences: the record that travels with its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from mbv3zoo.config.base import Config
from mbv3zoo.config.types import one_line


def _license_id(value: Any) -> Any:
    return '-'.join(value.lower().split()) if isinstance(value, str) else value


def _one_or_many(value: Any) -> Any:
    return (value,) if isinstance(value, (str, Mapping, LicensedPart)) else value


# A licence id of the Hub, such as 'apache-2.0', or one of two of our own: 'none' where there is nothing that could have
# a licence, 'unknown' where none is stated.
LicenseId = Annotated[str, BeforeValidator(_license_id), Field(pattern=r'^[a-z0-9][a-z0-9.+_-]*$', max_length=100)]


class LicensedPart(Config):
    """One thing that a detector's weights were made from. A licence alone may be given for it, as text."""

    license: LicenseId = 'unknown'
    """Its licence, 'none' or 'unknown'."""
    source: Annotated[str, Field(max_length=500), AfterValidator(one_line)] = ''
    """Where it comes from: an id on the Hub ('timm/resnet18.a1_in1k'), a URL, the name of a dataset."""

    @model_validator(mode='before')
    @classmethod
    def _from_license(cls, data: Any) -> Any:
        return {'license': data} if isinstance(data, str) else data


class LicenseRecord(Config):
    """What a detector was made from, and under which licences; saved with its weights (`mbv3zoo.licenses`)."""

    code: Literal['apache-2.0'] = 'apache-2.0'
    """Licence of this library."""
    backbone: LicensedPart = LicensedPart()
    """The backbone's weights before the first training; 'none' if it was trained from scratch."""
    imported: LicensedPart = LicensedPart()
    """Weights converted from another library, such as 'agpl-3.0' for YOLOv5's; 'none' if there are none."""
    data: Annotated[tuple[LicensedPart, ...], BeforeValidator(_one_or_many), Field(max_length=100)] = ()
    """Datasets it was trained on, in order; empty if none was recorded."""
    weights: LicenseId | None = None
    """Licence that somebody named for the weights as a whole (`license=`); None if it follows from the parts."""

    @model_serializer(mode='wrap')
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Files without such a licence are those of earlier versions, which would refuse the key."""
        return {key: value for key, value in write(self).items() if (key, value) != ('weights', None)}
