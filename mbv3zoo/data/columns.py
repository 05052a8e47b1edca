"""Texts, and lists of items of many owners, in one array each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

# Also of names that are no UTF-8, as files of other systems have.
_ENCODING = ('utf-8', 'surrogatepass')


@dataclass(frozen=True, eq=False)
class Texts(Sequence[str]):
    """Texts in one buffer.

    Attributes:
        data: uint8, all texts in UTF-8, one behind the other.
        starts: int64 [N + 1], where each begins, and the end of the last.
    """

    data: torch.Tensor
    starts: torch.Tensor

    @classmethod
    def of(cls, texts: Iterable[str]) -> Texts:
        parts = [text.encode(*_ENCODING) for text in texts]
        data = torch.frombuffer(bytearray(b''.join(parts)), dtype=torch.uint8) if any(parts) else torch.empty(0).byte()
        return cls(data, offsets(torch.tensor([len(part) for part in parts], dtype=torch.int64)))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: Any) -> Any:
        start, end = self.starts[index : index + 2].tolist()
        return self.data[start:end].numpy().tobytes().decode(*_ENCODING)

    def __iter__(self) -> Iterator[str]:
        data, starts = self.data.numpy().tobytes(), self.starts.tolist()
        for i in range(len(self)):
            yield data[starts[i] : starts[i + 1]].decode(*_ENCODING)

    def take(self, indices: torch.Tensor) -> Texts:
        """The texts of these indices, int64 [M]."""
        rows, starts = taken(self.starts, indices)
        return Texts(self.data[rows], starts)


def offsets(counts: torch.Tensor) -> torch.Tensor:
    """int64 [N] numbers of items -> [N + 1], where those of each begin, and the number of all."""
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])


def taken(starts: torch.Tensor, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The items of some owners.

    Args:
        starts: int64 [M + 1], where the items of each owner begin.
        chosen: int64 [K], the owners that are taken.

    Returns:
        The indices of their items, and the `starts` [K + 1] that these have.
    """
    counts = starts.diff()[chosen]
    ends = offsets(counts)
    first = torch.repeat_interleave(starts[:-1][chosen] - ends[:-1], counts)
    return first + torch.arange(int(ends[-1])), ends
