import json
from pathlib import Path

import numpy as np
import pytest
from hub_rows import NAMES, encoded, row, save

from mbv3zoo.data.hub_dataset import load_hub_dataset
from mbv3zoo.data.pictures import Pictures
from mbv3zoo.images.embedded import holding_file, read_embedded


def test_pictures_in_arrow_files_are_read_where_they_are(library, tmp_path):
    rows = [row(picture={'bytes': encoded(i), 'path': f'{i}.png'}) for i in range(40)]
    source = save(library, tmp_path / 'set', train=rows)
    splits = library.load_dataset(source.removeprefix('hub:'))
    splits.save_to_disk(tmp_path / 'all', num_shards={'train': 3})
    data = load_hub_dataset(f'hub:{tmp_path / "all"}', 'train')
    expected = [each['image']['bytes'] for each in rows]
    assert [read_embedded(record.path) for record in data.records] == expected
    assert len({holding_file(record.path) for record in data.records}) == 3
    assert not (tmp_path / 'cache/mbv3zoo').exists()
    # Training and evaluation read them, also where they are kept.
    for cache in ('no', 'memory', 'disk'):
        pictures = Pictures(data.records, 64, cache, tmp_path / 'kept')
        assert [int(pictures[i].max()) for i in (0, 20, 39)] == [0, 20, 39]
    file = Path(holding_file(data.records[0].path))
    file.rename(file.with_suffix('.moved'))
    with pytest.raises(FileNotFoundError, match='was there when the data set was read, and is gone'):
        Pictures(data.records, 64)[0]


def test_pictures_of_rows_in_memory_are_written_once(library, tmp_path, monkeypatch):
    monkeypatch.setattr(library.config, 'IN_MEMORY_MAX_SIZE', 10**9)
    rows = [row(picture={'bytes': encoded(i), 'path': f'{i}.png'}) for i in range(130)]
    source = save(library, tmp_path / 'set', train=rows, test=rows[:1])
    paths = [record.path for record in load_hub_dataset(source, 'train').records]
    assert [path.read_bytes() for path in paths] == [each['image']['bytes'] for each in rows]
    paths[7].unlink()
    state = {path: path.stat().st_mtime_ns for path in paths if path != paths[7]}
    assert [record.path for record in load_hub_dataset(source, 'train').records] == paths
    assert {path: path.stat().st_mtime_ns for path in state} == state
    assert paths[7].read_bytes() == rows[7]['image']['bytes']
    assert sorted(paths[0].parent.iterdir()) == paths  # and no half-written files
    assert load_hub_dataset(source, 'test').records[0].path.parent != paths[0].parent


def test_a_stopped_write_leaves_no_picture(library, tmp_path, monkeypatch):
    source = save(library, tmp_path / 'set', train=[row()])
    monkeypatch.setattr(library.config, 'IN_MEMORY_MAX_SIZE', 10**9)

    def full_disk(descriptor):
        raise OSError('No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr('os.fsync', full_disk)
        with pytest.raises(OSError, match=r'could not write 00000000\.png'):
            load_hub_dataset(source, 'train')
    assert list((tmp_path / 'cache/mbv3zoo').rglob('*.png')) == []
    assert len(load_hub_dataset(source, 'train')) == 1


def test_other_content_has_other_files(library, tmp_path):
    for color in (1, 2):
        picture = {'bytes': encoded(color), 'path': 'a.png'}
        source = save(library, tmp_path / f'set{color}', train=[row(picture=picture)])
        assert np.array(load_hub_dataset(source, 'train').records[0].image()).max() == color


def test_pictures_that_are_files_stay_where_they_are(library, tmp_path):
    folder = tmp_path / 'set/train'
    folder.mkdir(parents=True)
    lines = []
    for i in range(3):
        (folder / f'{i}.png').write_bytes(encoded(i))
        objects = {'bbox': [[i, 2, 3, 4]], 'categories': [NAMES[i % 2]]}
        lines.append(json.dumps({'file_name': f'{i}.png', 'objects': objects}))
    (folder / 'metadata.jsonl').write_text('\n'.join(lines))
    data = load_hub_dataset(f'hub:{tmp_path / "set"}', 'train')
    assert [record.path for record in data.records] == [folder / f'{i}.png' for i in range(3)]
    assert [record.labels.tolist() for record in data.records] == [[0], [1], [0]]
    assert [record.boxes.tolist() for record in data.records] == [[[i, 2, i + 3, 6]] for i in range(3)]
    assert not (tmp_path / 'cache/mbv3zoo').exists()
