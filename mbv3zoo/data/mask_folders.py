"""Masks in files: folders of images and PNG masks, and Pascal VOC's SegmentationClass."""

from __future__ import annotations

from pathlib import Path

from mbv3zoo.data.detection_set import SPLIT_NAMES
from mbv3zoo.data.files import files_by_stem
from mbv3zoo.data.label_values import check_class_names, read_list
from mbv3zoo.data.masks import MaskSet, read_masks
from mbv3zoo.data.problems import LabelProblems
from mbv3zoo.images.opening import IMAGE_SUFFIXES

# Names of folders, best first.
_PICTURES = ('images', 'JPEGImages', 'Images', 'img', 'image', 'imgs', 'leftImg8bit')
_MASKS = ('masks', 'SegmentationClass', 'mask', 'Masks', 'annotations', 'labels', 'gt', 'gtFine')
# What tools add to the name of an image for that of its mask.
_ENDS = ('', '_mask', '-mask', '_label', '_labels', '_seg', '_gt')
_NAMES = ('classes.txt', 'labels.txt', 'class_names.txt')
_SPLITS = (*SPLIT_NAMES, 'training')  # the last is ADE20K's
_LISTS = Path('ImageSets', 'Segmentation')
# Of values up to 20, where a folder lists its splits as VOC does.
VOC_CLASSES = (
    'background', 'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow', 'diningtable',
    'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa', 'train', 'tvmonitor',
)  # fmt: skip


def find_mask_folders(folder: Path) -> tuple[tuple[str, ...], dict[str, tuple[Path, Path]]] | None:
    """The splits of a folder of images and masks, each with its folder of images and that of masks; None without masks.

    The layouts are `images/<split>/` and `masks/<split>/`; `<split>/images/` and `<split>/masks/`; `images/` and
    `masks/`, one split without a name, or those that `ImageSets/Segmentation/<split>.txt` list.
    """
    pair = _pair(folder)
    if pair:
        listed = tuple(sorted(path.stem for path in (folder / _LISTS).glob('*.txt')))
        if listed:
            return listed, dict.fromkeys(listed, pair)
        names = {name.replace('training', 'train'): name for name in _SPLITS if (pair[1] / name).is_dir()}
        found = {split: (pair[0] / name, pair[1] / name) for split, name in names.items()} or {'': pair}
        return tuple(found), found
    inner = {name: inside for name in SPLIT_NAMES if (inside := _pair(folder / name))}
    return (tuple(inner), inner) if inner else None


def load_masks(folder: Path, split: str, places: tuple[Path, Path], max_pixels: int) -> MaskSet:
    """Reads the pairs of a split; see `mbv3zoo.data.masks.read_masks` for errors.

    A mask has the name of its image, or that with `_mask` and the like behind it. Class names are one a line in
    `classes.txt`, beside the masks or in the folder of the dataset.

    Args:
        folder: The dataset's.
        split: The split.
        places: The folders of images and of masks.
        max_pixels: Most pixels of an image.
    """
    pictures, masks = files_by_stem(places[0], IMAGE_SUFFIXES), files_by_stem(places[1], IMAGE_SUFFIXES)
    problems, rows, used = LabelProblems(folder), [], set()
    listed = folder / _LISTS / f'{split}.txt'
    for name in read_list(listed) if listed.is_file() else sorted(pictures):
        mask = next((name + end for end in _ENDS if name + end in masks), None)
        if name not in pictures:
            problems.add(f'{listed}: {name}', f'left out: there is no such picture in {places[0]}')
        elif mask is None:
            problems.add(pictures[name][0], f'left out: has no mask; expected {places[1] / name}.png')
        else:
            used.add(mask)
            rows.append((masks[mask][0], Path(pictures[name][0]), Path(masks[mask][0])))
    for name in sorted(masks.keys() - used) if not listed.is_file() else ():
        problems.add(str(masks[name][0]), f'not used: there is no picture {name} in {places[0]}')
    return read_masks(folder, rows, _class_names(folder, places[1]), problems, max_pixels)


def _pair(folder: Path) -> tuple[Path, Path] | None:
    """A folder's folders of images and of masks, or None."""
    pictures, masks = (
        next((folder / name for name in names if (folder / name).is_dir()), None) for names in (_PICTURES, _MASKS)
    )
    holds = masks and any(path.suffix.lower() in IMAGE_SUFFIXES for path in masks.rglob('*'))
    return (pictures, masks) if pictures and masks and holds else None


def _class_names(folder: Path, masks: Path) -> tuple[str, ...]:
    for file in (place / name for place in (masks, masks.parent, folder) for name in _NAMES):
        if file.is_file():
            return check_class_names([row.strip() for row in read_list(file)], file)
    return VOC_CLASSES if (folder / _LISTS).is_dir() else ()
