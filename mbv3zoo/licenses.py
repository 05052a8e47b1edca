"""The licences of a detector's weights, and what they allow. An aid, not legal advice.

The record itself (`LicenseRecord`, `LicensedPart`) is in `mbv3zoo.config.license_record`. What it says of the weights:

- The licences of the backbone's weights and of imported weights count, also if unknown, as the detector's weights are
  derived from them.
- A dataset's licence counts only if it forbids commercial use. Its other conditions concern the images, which are not
  published. An unknown one does not count, as users decide about their own images.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from mbv3zoo.config.license_record import LicensedPart, LicenseRecord
from mbv3zoo.utils.text import is_text

if TYPE_CHECKING:
    from timm.models import PretrainedCfg

_logger = logging.getLogger(__name__)

DEFAULT_LICENSE = 'apache-2.0'
UNKNOWN = 'unknown'
# There are no weights that could have a licence.
NO_WEIGHTS = LicensedPart(license='none')


class Terms(NamedTuple):
    """What a licence means for weights derived from what it covers.

    Attributes:
        redistribute: They may be redistributed.
        commercial: They may be used commercially.
        own_terms: They may be redistributed only under the same licence (copyleft, conditions to be passed on).
    """

    redistribute: bool = True
    commercial: bool = True
    own_terms: bool = False


# By the Hub's ids, or timm's if the Hub has none; from the least to the most restrictive, also within a line.
_BY_TERMS: tuple[tuple[Terms, str], ...] = (
    (Terms(), 'cc0-1.0 pddl unlicense wtfpl zlib isc mit ncsa postgresql bsl-1.0 bsd bsd-2-clause bsd-3-clause'),
    (Terms(), 'bsd-3-clause-clear ecl-2.0 afl-3.0 artistic-2.0 apache-2.0 openmdw-1.0 openmdw-1.1 c-uda'),
    # Apple's sample code licence and its variants: unchanged parts must keep a notice.
    (Terms(), 'apple-ascl cvnets-license fastvit-license mobileone-license'),
    (Terms(), 'cdla-permissive-2.0 cdla-permissive-1.0 etalab-2.0 odc-by cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0'),
    (Terms(own_terms=True), 'ms-pl mpl-2.0 lppl-1.3c ofl-1.1 epl-1.0 epl-2.0 eupl-1.1 eupl-1.2 cdla-sharing-1.0 odbl'),
    (Terms(own_terms=True), 'osl-3.0 lgpl-lr lgpl lgpl-2.1 lgpl-3.0 gfdl cc-by-sa-3.0 cc-by-sa-4.0'),
    (Terms(own_terms=True), 'gpl gpl-2.0 gpl-3.0 agpl-3.0'),
    # Free to use except for what they forbid, which must be passed on with the weights.
    (Terms(own_terms=True), 'openrail openrail++ bigscience-openrail-m creativeml-openrail-m bigcode-openrail-m'),
    (
        Terms(own_terms=True),
        'bigscience-bloom-rail-1.0 nvidia-open-model-license gemma dinov3-license sapiens2-license',
    ),
    (Terms(own_terms=True), 'qwen-community-1.0 llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 grok2-community'),
    (Terms(commercial=False), 'cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0'),
    (Terms(commercial=False, own_terms=True), 'cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0'),
    (Terms(commercial=False, own_terms=True), 'apple-amlr seer-license fair-noncommercial-research-license'),
    (Terms(commercial=False, own_terms=True), 'deepfloyd-if-license h-research intel-research'),
    (Terms(redistribute=False, own_terms=True), 'cc-by-nd-4.0'),
    (Terms(redistribute=False, commercial=False, own_terms=True), 'cc-by-nc-nd-3.0 cc-by-nc-nd-4.0'),
)
TERMS: dict[str, Terms] = {name: terms for terms, names in _BY_TERMS for name in names.split()}
_RANK = {name: rank for rank, name in enumerate(TERMS)}

# Licences above that a card cannot name, as the Hub has no id for them.
_NOT_ON_HUB = {
    'cvnets-license', 'fastvit-license', 'mobileone-license', 'nvidia-open-model-license', 'dinov3-license',
    'sapiens2-license', 'qwen-community-1.0', 'seer-license',
}  # fmt: skip
# Ids of the Hub that are too vague for the table.
_VAGUE_ON_HUB = {'cc', 'other', UNKNOWN}

# Licences that permit redistribution under another of the same kind.
_ALSO_UNDER = {
    'gpl-3.0': {'agpl-3.0'},
    'lgpl-3.0': {'gpl-3.0', 'agpl-3.0'},
    'cc-by-sa-3.0': {'cc-by-sa-4.0'},
    'cc-by-nc-sa-3.0': {'cc-by-nc-sa-4.0'},
}


def backbone_license(weights: str | PretrainedCfg | Mapping[str, Any]) -> LicensedPart:
    """Licence and source of the weights that `pretrained=True` loads, as timm records them.

    Args:
        weights: A timm model name, with or without a tag; or timm's record, a `PretrainedCfg` or a model's
            `pretrained_cfg`.

    Returns:
        'none' if timm has no weights of that name; 'unknown' if it does not record a licence, or they come from a file.
    """
    # Here, so that the record of an exported file is checked without timm.
    import timm
    from timm.models import PretrainedCfg

    import mbv3zoo.backbones  # noqa: F401  registers our own models with timm

    if isinstance(weights, str):
        place, colon, rest = weights.partition(':')
        if colon:  # 'hf-hub:organisation/name' and 'local-dir:folder', whose record is not read here
            return _part(UNKNOWN, rest)
        weights = timm.get_pretrained_cfg(place) or PretrainedCfg()
    record = weights if isinstance(weights, Mapping) else vars(weights)
    if record.get('file') or record.get('state_dict'):
        return _part(UNKNOWN, record.get('file') or '')
    source = record.get('hf_hub_id') or record.get('origin_url') or record.get('url')
    return _part(record.get('license') or UNKNOWN, source) if source else NO_WEIGHTS


def fresh_record(
    backbone: str,
    pretrained: bool,
    build_args: Mapping[str, Any] | None = None,
    declared: LicenseRecord | None = None,
    repository: str = '',
) -> LicenseRecord:
    """The record of a new detector: nothing imported and not trained yet, unless the user says otherwise.

    Args:
        backbone: A timm model name, with or without a tag.
        pretrained: Whether the backbone's weights are loaded.
        build_args: Arguments of `timm.create_model` that name other weights: `checkpoint_path`, `pretrained_cfg`,
            `pretrained_cfg_overlay`.
        declared: The user's record. Imported weights and data are taken from it; the backbone's licence, where its
            weights are loaded, if timm does not know it or knows a less restrictive one.
        repository: Where `pretrained_cfg` and the weights were read from; its own licence is used.
    """
    build_args = build_args or {}
    part = NO_WEIGHTS
    if pretrained and repository:
        record = build_args.get('pretrained_cfg') or {}
        part = _part(record.get('license') or UNKNOWN, repository)
    elif pretrained:
        part = backbone_license(build_args.get('pretrained_cfg') or backbone)
        overlay = build_args.get('pretrained_cfg_overlay') or {}
        if {'file', 'state_dict', 'hf_hub_id', 'url'} & overlay.keys():
            part = backbone_license(overlay)
        elif overlay.get('license'):
            part = _part(overlay['license'], part.source)
    if build_args.get('checkpoint_path'):
        part = _part(UNKNOWN, build_args['checkpoint_path'])
    declared = declared or LicenseRecord()
    if pretrained or build_args.get('checkpoint_path'):
        part = _stricter(part, declared.backbone)
    imported = NO_WEIGHTS if declared.imported == LicensedPart() else declared.imported
    return LicenseRecord(backbone=part, imported=imported, data=declared.data, weights=declared.weights)


def _stricter(known: LicensedPart, declared: LicensedPart) -> LicensedPart:
    """The backbone's part by what is known and what a user declared; which of them counts is logged if it is timm's."""
    # 'none' was declared for a detector without the weights.
    if declared.license in (UNKNOWN, NO_WEIGHTS.license, known.license):
        return known
    if known.license in (UNKNOWN, NO_WEIGHTS.license) or _rank(declared.license) > _rank(known.license):
        return _part(declared.license, known.source or declared.source)
    _logger.warning('the licence of %s is %s, not %s as declared', known.source, known.license, declared.license)
    return known


def trained_on(record: LicenseRecord, dataset: str, license: str | None = None) -> LicenseRecord:
    """The record after training on another dataset; a dataset is recorded once.

    Args:
        record: The record before.
        dataset: Name of the dataset, or its id on the Hub.
        license: Its licence, if known.
    """
    part = _part(license or UNKNOWN, dataset)
    before = [other for other in record.data if other.source == part.source]
    if before and license is None:
        part = before[-1]
    others = [other for other in record.data if other.source != part.source]
    return record.model_copy(update={'data': (*others, part)})


def weights_license(record: LicenseRecord) -> str:
    """The licence of the detector's weights: the one that somebody named, else the one that follows from the parts."""
    return record.weights or derived_license(record)


def derived_license(record: LicenseRecord) -> str:
    """The licence that follows from the parts: the most restrictive one that counts (see the module).

    Returns:
        A licence id; apache-2.0 if no part is more restrictive; 'unknown' if that of the backbone's or of imported
        weights is.
    """
    found = [part.license for _, part, _ in _counting(record)]
    if UNKNOWN in found:
        return UNKNOWN
    return max([DEFAULT_LICENSE, *found], key=_rank)


def under_license(record: LicenseRecord, license: str) -> LicenseRecord:
    """The record of weights that are given under a licence; it is recorded where it does not follow from the parts.

    Args:
        record: The record before.
        license: A licence id.

    Raises:
        ValueError: It is not a licence id.
    """
    license = license_id(license)
    return record.model_copy(update={'weights': None if license == derived_license(record) else license})


def check_push(record: LicenseRecord, declared: str | None = None, allow: Iterable[str] = ()) -> None:
    """Refuses a licence that the sources of the weights do not allow.

    Args:
        record: What the weights were made from.
        declared: The licence to publish them under; None is apache-2.0.
        allow: Licence ids to accept without a check, including 'unknown', or 'any'.

    Raises:
        ValueError: A part may not be redistributed, not under `declared`, or its licence is unknown.
    """
    declared = license_id(declared or DEFAULT_LICENSE)
    allowed = _ids(allow)
    reasons = [
        f'{label} ({_shown(part)}) {reason}'
        for label, part, terms in _counting(record)
        if not {part.license, 'any'} & allowed and (reason := _refusal(part.license, terms, declared))
    ]
    if reasons:
        raise ValueError(f'not to be published under {declared}: {"; ".join(reasons)}')


def check_allowed(record: LicenseRecord, allow_licenses: Iterable[str] | None) -> None:
    """Refuses weights that were made from a part under a licence that is not listed.

    Args:
        record: What the weights were made from.
        allow_licenses: Licence ids, possibly 'unknown', or 'any'. None checks nothing.

    Raises:
        ValueError: A part is under another licence; the message says which.
    """
    if allow_licenses is None:
        return
    allowed = _ids(allow_licenses)
    # A licence that was named for the whole is asked about too.
    named = [('the weights', LicensedPart(license=record.weights))] if record.weights else []
    parts = [*named, *((label, part) for label, part, _ in _counting(record))]
    refused = [f'{label} ({_shown(part)})' for label, part in parts if not {part.license, 'any'} & allowed]
    if refused:
        raise ValueError(
            f'the licence of {" and ".join(refused)} is not in allow_licenses={sorted(allowed)}; add it, or take other '
            'weights (pretrained=False takes none)'
        )


def license_rows(record: LicenseRecord) -> list[tuple[str, str, str]]:
    """(part, licence, source) of each part of a record, for tables."""
    rows = [
        ('code', record.code, 'mbv3zoo'),
        ('backbone weights', record.backbone.license, record.backbone.source),
        ('imported weights', record.imported.license, record.imported.source),
    ]
    data = record.data or (LicensedPart(source='not recorded'),)
    return rows + [('data', part.license, part.source) for part in data]


def hub_license(license: str) -> tuple[str, str | None]:
    """A licence in a card's metadata: `license`, and `license_name` if that is 'other'."""
    if license in _VAGUE_ON_HUB or (license in TERMS and license not in _NOT_ON_HUB):
        return license, None
    return 'other', license


def _counting(record: LicenseRecord) -> list[tuple[str, LicensedPart, Terms | None]]:
    """The parts whose licences count for the weights: label, part, and terms if known."""
    parts = [('the backbone weights', record.backbone), ('the imported weights', record.imported)]
    counting = [(label, part, TERMS.get(part.license)) for label, part in parts if part.license != NO_WEIGHTS.license]
    limited = [part for part in record.data if not TERMS.get(part.license, Terms()).commercial]
    return counting + [('the data', part, Terms(commercial=False)) for part in limited]


def _refusal(license: str, terms: Terms | None, declared: str) -> str:
    """Why a part under `license` may not be published under `declared`, and what to do; '' if it may."""
    if license == UNKNOWN:
        return (
            "are of unknown licence: find it out and record it in the config's `licenses`, train from other weights, "
            "or pass allow_licenses=['unknown'] (--allow-license) if you may publish them"
        )
    permitted = f'pass allow_licenses=[{license!r}] (--allow-license) if you may all the same'
    if terms is None:
        return f'may ask for anything, as its terms are not known here: {permitted}'
    if not terms.redistribute:
        return f'may not be passed on once changed: {permitted}'
    if declared == license or declared in _ALSO_UNDER.get(license, ()):
        return ''
    if terms.own_terms:
        return f'may be passed on under its own licence only: publish with license={license!r}, or {permitted}'
    if not terms.commercial and TERMS.get(declared, Terms()).commercial:
        return f'may not be used commercially: publish with license={license!r}, or {permitted}'
    return ''


def _rank(license: str) -> int:
    """How restrictive a licence is; one that is not in the table counts as most restrictive."""
    return _RANK.get(license, len(_RANK))


def _shown(part: LicensedPart) -> str:
    return f'{part.license}, from {part.source}' if part.source else part.license


def _part(license: Any, source: Any) -> LicensedPart:
    """A part from untrusted values."""
    source = ''.join(character if is_text(character) else '?' for character in str(source))[:500]
    try:
        return LicensedPart(license=license, source=source)
    except ValueError:
        return LicensedPart(source=source)


def license_id(license: str) -> str:
    """A licence id as it is recorded: 'apache-2.0' for 'Apache 2.0'.

    Raises:
        ValueError: It is none.
    """
    return LicensedPart.parse({'license': license}, 'not a licence id').license


def _ids(licenses: Iterable[str]) -> set[str]:
    return {license_id(name) for name in ([licenses] if isinstance(licenses, str) else licenses)}
