"""Classes that are named by their names or indices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mbv3zoo.utils.text import nearest


def class_indices(classes: str | int | Iterable[str | int], class_names: Sequence[str]) -> list[int]:
    """Indices of classes that are given by name or by index.

    Args:
        classes: names or indices, or one of them.
        class_names: the name of each class.

    Raises:
        ValueError: if there is no such class; the nearest names are given.
    """
    indices = []
    for given in classes if isinstance(classes, Iterable) and not isinstance(classes, str) else [classes]:
        own = [i for i, name in enumerate(class_names) if given in (name, i)]
        if not own:
            names = ', '.join(class_names[:10]) + (', ...' if len(class_names) > 10 else '')
            hint = nearest(str(given), class_names, f'the {len(class_names)} classes are {names}')
            raise ValueError(f'unknown class {given!r}; {hint}')
        indices += own
    return indices


def split_classes(texts: Iterable[str], class_names: Sequence[str]) -> list[str | int]:
    """Classes as they are typed: a name, an index, or several of them with commas between.

    A text that is a class's whole name means that class, whatever is in it.

    Example:
        >>> split_classes(['cat,2', 'knife, fork', '7'], ['cat', 'dog', 'bird', 'knife, fork', '7'])
        ['cat', 2, 'knife, fork', '7']
    """
    found: list[str | int] = []
    for text in texts:
        parts = [text] if text in class_names else [part.strip() for part in text.split(',')]
        found += [int(part) if part not in class_names and part.isdecimal() else part for part in parts]
    return found
