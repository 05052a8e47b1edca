"""The image files of the rows of a Hugging Face dataset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mbv3zoo.images.embedded import embedded_names, embedded_path, mapped_rows
from mbv3zoo.images.opening import IMAGE_SUFFIXES
from mbv3zoo.utils.atomic import Content, atomic_write_all
from mbv3zoo.utils.disk import make_folder

# Names of columns of masks in use; the first that exists is taken.
MASK_COLUMNS = (
    'mask', 'masks', 'label', 'labels', 'annotation', 'segmentation', 'segmentation_mask', 'semantic_segmentation',
)  # fmt: skip


def row_images(data: Any, column: str) -> Iterator[Path | None]:
    """The file of each row's image, or None.

    Images in the rows of Arrow files are read there. Those of rows that were chosen or made are written, to `mbv3zoo/`
    in the cache of `datasets`.
    """
    import datasets

    if (places := _mapped_places(data, column)) is not None:
        yield from places
        return
    # A row's bytes never change, as each version of the dataset has its own fingerprint.
    folder = Path(datasets.config.HF_DATASETS_CACHE) / 'mbv3zoo' / data._fingerprint
    folder = folder / column if column in MASK_COLUMNS else folder
    rows = data.select_columns([column]).cast_column(column, datasets.Image(decode=False)).with_format('arrow')
    row = 0
    for table in rows.iter(batch_size=100):
        paths: list[Path | None] = []
        missing: dict[str | Path, Content] = {}
        # Item by item, so that the bytes of an image that was written before are not read again.
        for item in table[column]:
            path = item['path'].as_py() if item.is_valid else None
            if not item.is_valid or not item['bytes'].is_valid:
                paths.append(Path(path) if path else None)
            else:
                suffix = Path(path or '').suffix.lower()
                file = folder / f'{row:08d}{suffix if suffix in IMAGE_SUFFIXES else ""}'
                if not file.is_file():
                    missing[file] = item['bytes'].as_py()
                paths.append(file)
            row += 1
        if missing:
            make_folder(folder)
            atomic_write_all(missing)
        yield from paths


def _mapped_places(data: Any, column: str) -> list[Path | None] | None:
    """The images of a set that is mapped from Arrow files; None where its rows are not those of the files."""
    if data._indices is not None:
        return None
    files = [str(each['filename']) for each in data.cache_files]
    counts = [mapped_rows(file, column) for file in files]
    if None in counts or sum(filter(None, counts)) != len(data):
        return None
    places: list[Path | None] = []
    for file in files:
        for row, (own, has_bytes) in enumerate(embedded_names(file, column)):
            suffix = Path(own or '').suffix.lower()
            if has_bytes:
                places.append(embedded_path(file, column, row, suffix if suffix in IMAGE_SUFFIXES else ''))
            else:
                places.append(Path(own) if own else None)
    return places
