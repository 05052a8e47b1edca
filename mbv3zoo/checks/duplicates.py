"""Images that are in a dataset twice: the same file, or the same picture at another size or compression."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from mbv3zoo.checks.findings import MOST_SHOWN, Example, Finding, Splits, counted
from mbv3zoo.checks.fingerprints import same_groups
from mbv3zoo.checks.pictures import Looked

# A split, and the index of a record in it.
Place = tuple[str, int]


def find_copies(splits: Splits, looked: dict[str, list[Looked]]) -> Iterator[Finding]:
    """Images that are in two splits, and those that are in one split twice.

    Args:
        splits: The dataset.
        looked: What was found in each image.
    """
    groups = copies(looked)
    for first, second in combinations(splits, 2):
        shared = [group for group in groups if {first, second} <= {name for name, _ in group}]
        if shared:
            known = {looked[name][i].digest for group in shared for name, i in group if name == first}
            own = [looked[name][i].digest for group in shared for name, i in group if name == second]
            text = (
                f'{counted(len(own), "picture")} of {second} also in {first}{_exactly(sum(d in known for d in own))}: '
                f'what is measured on {second} is better than it should be; take them out of one of the two'
            )
            yield Finding('error', f'copies in {first} and {second}', text, len(own), _examples(splits, shared))
    for name in splits:
        repeated = [[place for place in group if place[0] == name] for group in groups]
        repeated = [group for group in repeated if len(group) > 1]
        if repeated:
            count = sum(map(len, repeated)) - len(repeated)
            same = sum(len(group) - len({looked[name][i].digest for name, i in group}) for group in repeated)
            text = (
                f'{counted(count, "picture")} of {name} repeated{_exactly(same)}: they count more than others, and '
                'their labels may differ'
            )
            yield Finding('warning', 'copies', text, count, _examples(splits, repeated))


def copies(looked: dict[str, list[Looked]]) -> list[list[Place]]:
    """Groups of images that are copies of one another, or nearly; those that cannot be read are in none."""
    places = [(name, i) for name, found in looked.items() for i, each in enumerate(found) if not each.error]
    if not places:
        return []
    found = [looked[name][i] for name, i in places]
    groups = same_groups(np.stack([each.print for each in found]), [each.digest for each in found])
    return [[places[i] for i in group] for group in groups]


def _exactly(same: int) -> str:
    return f', {same:,} of them as the same file' if same else ', or nearly so'


def _examples(splits: Splits, groups: list[list[Place]]) -> tuple[Example, ...]:
    """Images of the largest groups, two of each."""
    shown = sorted(groups, key=len, reverse=True)[: MOST_SHOWN // 2]
    return tuple(
        Example(splits[name].records[i], (), f'{name}, group {number}')
        for number, group in enumerate(shown, 1)
        for name, i in _both(group)
    )


def _both(group: list[Place]) -> list[Place]:
    """Two of a group, of two splits where it has these."""
    other = next((place for place in group if place[0] != group[0][0]), group[1])
    return [group[0], other]
