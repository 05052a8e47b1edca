"""A process that keeps and finds files in a store which others use at the same time."""

import random
from pathlib import Path

from mbv3zoo.utils.store import Store


def keep_many(folder, seed):
    """Keeps and finds entries of a few keys in a store with room for two; whether all that was found was whole."""
    chosen, store = random.Random(seed), Store('graphs')
    store.most_bytes = 3000
    source = Path(folder) / f'source-{seed}'
    for _ in range(10):
        key = chosen.choice('abcd')
        source.write_bytes(key.encode() * 1000)
        assert store.keep(key * 64, {'model': source}, {'seed': seed})
        key = chosen.choice('abcd')
        if entry := store.find(key * 64):
            try:
                found = (entry / 'model').read_bytes()
            except FileNotFoundError:  # it had to go meanwhile
                continue
            if found != key.encode() * 1000:
                return False
    return True
