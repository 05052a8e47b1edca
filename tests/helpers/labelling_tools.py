"""Writes the exports of labelling tools, as each lays out its folders and files, from one set of pictures and boxes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import escape

from PIL import Image

# Not in alphabetical order; the last has no box.
NAMES = ('ring', 'ball', 'traffic cone', 'spare')
# Picture -> its size and boxes: class and (x1, y1, x2, y2) in whole pixels.
Boxes = list[tuple[int, tuple[int, int, int, int]]]
Pictures = dict[str, tuple[tuple[int, int], Boxes]]
PICTURES: Pictures = {
    'IMG 01.JPG': ((40, 30), [(0, (4, 6, 20, 24)), (1, (10, 3, 30, 27))]),
    'Müll-tonne.png': ((32, 32), [(2, (8, 8, 24, 16))]),
    'c.d.jpeg': ((20, 40), [(1, (2, 4, 18, 36))]),
    'background.png': ((24, 24), []),
    'e.png': ((48, 16), [(2, (12, 4, 24, 12)), (0, (24, 2, 36, 10))]),
}
# As a tool with splits divides them.
TRAIN = {name: PICTURES[name] for name in ('IMG 01.JPG', 'Müll-tonne.png', 'background.png')}
VALID = {name: PICTURES[name] for name in ('c.d.jpeg', 'e.png')}


def pictures(folder: Path, chosen: Pictures, name: Callable[[str], str] = str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for picture, (size, _) in chosen.items():
        Image.new('RGB', size, 'gray').save(folder / name(picture))


def yolo_labels(folder: Path, chosen: Pictures, name: Callable[[str], str] = str, background: bool = True) -> None:
    """One text file per picture; tools leave it out, or empty, where there is no box."""
    folder.mkdir(parents=True, exist_ok=True)
    for picture, ((width, height), boxes) in chosen.items():
        rows = [
            f'{label} {(x1 + x2) / 2 / width:.6f} {(y1 + y2) / 2 / height:.6f} {(x2 - x1) / width:.6f} '
            f'{(y2 - y1) / height:.6f}\n'
            for label, (x1, y1, x2, y2) in boxes
        ]
        if rows or background:
            (folder / name(picture)).with_suffix('.txt').write_text(''.join(rows), encoding='utf-8')


def voc_labels(folder: Path, chosen: Pictures, named: str = '{}', background: bool = True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for picture, ((width, height), boxes) in chosen.items():
        objects = [
            f'<object><name>{escape(NAMES[label])}</name><pose>Unspecified</pose><truncated>0</truncated>'
            f'<difficult>0</difficult><bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin><xmax>{x2}</xmax>'
            f'<ymax>{y2}</ymax></bndbox></object>'
            for label, (x1, y1, x2, y2) in boxes
        ]
        if objects or background:
            text = (
                f'<annotation><folder>somewhere</folder><filename>{named.format(picture)}</filename>'
                f'<path>C:\\Users\\me\\somewhere\\{picture}</path><size><width>{width}</width><height>{height}</height>'
                f'<depth>3</depth></size>{"".join(objects)}</annotation>'
            )
            (folder / picture).with_suffix('.xml').write_text(text, encoding='utf-8')


def coco(chosen: Pictures, name: Callable[[str], str] = str, first: int = 1, placeholder: bool = False) -> str:
    """The JSON text, with categories from id `first` on; with a `placeholder` category 0 for the project."""
    categories = [{'id': 0, 'name': 'things', 'supercategory': 'none'}] if placeholder else []
    parent = 'things' if placeholder else ''
    categories += [{'id': first + i, 'name': own, 'supercategory': parent} for i, own in enumerate(NAMES)]
    images, annotations = [], []
    for image_id, (picture, ((width, height), boxes)) in enumerate(chosen.items()):
        images.append({'id': image_id, 'file_name': name(picture), 'width': width, 'height': height})
        for label, (x1, y1, x2, y2) in boxes:
            box = {'bbox': [x1, y1, x2 - x1, y2 - y1], 'area': (x2 - x1) * (y2 - y1), 'iscrowd': 0, 'segmentation': []}
            annotations.append({'id': len(annotations), 'image_id': image_id, 'category_id': first + label, **box})
    return json.dumps({'info': {}, 'images': images, 'categories': categories, 'annotations': annotations})


def put(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding='utf-8')


def listed(names: tuple[str, ...] = NAMES) -> str:
    return '\n'.join(names) + '\n'


def hashed(name: str) -> str:
    """Label Studio puts a part of an id before the names of uploads."""
    return f'3f2a1b0c-{name}'


def in_roboflow(name: str) -> str:
    stem, _, suffix = name.rpartition('.')
    return f'{stem}_{suffix}.rf.5f4dcc3b5aa765d61d8327deb882cf99.jpg'


# Each writes one export into a folder.


def labelimg_yolo(root: Path) -> None:
    pictures(root, PICTURES)
    yolo_labels(root, PICTURES, background=False)
    put(root / 'classes.txt', listed())


def labelimg_yolo_elsewhere(root: Path) -> None:
    """With another folder to save to, where labelImg then keeps the classes too."""
    pictures(root / 'images', PICTURES)
    yolo_labels(root / 'labels', PICTURES, background=False)
    put(root / 'labels/classes.txt', listed())


def labelimg_voc(root: Path) -> None:
    pictures(root, PICTURES)
    voc_labels(root, PICTURES)


def label_studio_yolo(root: Path) -> None:
    pictures(root / 'images', PICTURES, hashed)
    yolo_labels(root / 'labels', PICTURES, hashed)
    put(root / 'classes.txt', listed())
    notes = {'categories': [{'id': i, 'name': name} for i, name in enumerate(NAMES)], 'info': {'year': 2026}}
    put(root / 'notes.json', json.dumps(notes))


def _label_studio_coco(root: Path, place: str) -> None:
    pictures(root / 'images', PICTURES, hashed)
    put(root / 'result.json', coco(PICTURES, lambda name: place + hashed(name), first=0))


def label_studio_coco(root: Path) -> None:
    _label_studio_coco(root, 'images/')


def label_studio_coco_windows(root: Path) -> None:
    _label_studio_coco(root, 'images\\')


def label_studio_coco_upload(root: Path) -> None:
    _label_studio_coco(root, '/data/upload/1/')


def label_studio_coco_relative(root: Path) -> None:
    _label_studio_coco(root, '../../label-studio/media/upload/1/')


def cvat_voc(root: Path) -> None:
    pictures(root / 'JPEGImages', PICTURES)
    voc_labels(root / 'Annotations', PICTURES)
    put(root / 'ImageSets/Main/default.txt', '\n'.join(Path(name).stem for name in PICTURES) + '\n')
    rows = [
        '# label:color_rgb:parts:actions',
        'background:0,0,0::',
        *(f'{name}:128,0,{i}::' for i, name in enumerate(NAMES)),
    ]
    put(root / 'labelmap.txt', '\n'.join(rows) + '\n')


def cvat_yolo(root: Path) -> None:
    pictures(root / 'obj_train_data', PICTURES)
    yolo_labels(root / 'obj_train_data', PICTURES)
    put(root / 'obj.names', listed())
    put(
        root / 'obj.data', f'classes = {len(NAMES)}\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n'
    )
    put(root / 'train.txt', '\n'.join(f'data/obj_train_data/{name}' for name in PICTURES))


def cvat_ultralytics(root: Path) -> None:
    pictures(root / 'images/train', PICTURES)
    yolo_labels(root / 'labels/train', PICTURES)
    names = ''.join(f'  {i}: {name}\n' for i, name in enumerate(NAMES))
    put(root / 'data.yaml', f'names:\n{names}path: .\ntrain: train.txt\n')
    put(root / 'train.txt', '\n'.join(f'data/images/train/{name}' for name in PICTURES))


def cvat_coco(root: Path) -> None:
    pictures(root / 'images/default', PICTURES)
    put(root / 'annotations/instances_default.json', coco(PICTURES))


def roboflow_yolo(root: Path) -> None:
    for split, chosen in (('train', TRAIN), ('valid', VALID)):
        pictures(root / split / 'images', chosen, in_roboflow)
        yolo_labels(root / split / 'labels', chosen, in_roboflow)
    rows = ['train: ../train/images', 'val: ../valid/images', 'test: ../test/images']
    rows += ['', f'nc: {len(NAMES)}', f'names: {list(NAMES)}', '', 'roboflow:', '  workspace: me', '  version: 1']
    put(root / 'data.yaml', '\n'.join(rows))
    put(root / 'README.roboflow.txt', 'things - v1\n')


def roboflow_coco(root: Path) -> None:
    for split, chosen in (('train', TRAIN), ('valid', VALID)):
        pictures(root / split, chosen, in_roboflow)
        put(root / split / '_annotations.coco.json', coco(chosen, in_roboflow, placeholder=True))


def roboflow_voc(root: Path) -> None:
    for split, chosen in (('train', TRAIN), ('valid', VALID)):
        renamed = {in_roboflow(name): rest for name, rest in chosen.items()}
        pictures(root / split, renamed)
        voc_labels(root / split, renamed)


def darknet(root: Path) -> None:
    """As Darknet's readme says: lists of paths from the folder that the training is started in."""
    rows = []
    for split, chosen in (('train', TRAIN), ('valid', VALID)):
        pictures(root / 'data/obj', chosen)
        yolo_labels(root / 'data/obj', chosen)
        put(root / f'data/{split}.txt', '\n'.join(f'data/obj/{name}' for name in chosen))
        rows.append(f'{split}  = data/{split}.txt')
    put(root / 'data/obj.names', listed())
    put(
        root / 'data/obj.data',
        '\n'.join([f'classes= {len(NAMES)}', *rows, 'names = data/obj.names', 'backup = backup/']),
    )


def yolo_without_yaml(root: Path) -> None:
    for split, chosen in (('train', TRAIN), ('val', VALID)):
        pictures(root / 'images' / split, chosen)
        yolo_labels(root / 'labels' / split, chosen)
    put(root / 'classes.txt', listed())


def yolo_by_split_without_yaml(root: Path) -> None:
    for split, chosen in (('train', TRAIN), ('valid', VALID)):
        pictures(root / split / 'images', chosen)
        yolo_labels(root / split / 'labels', chosen)
    put(root / 'classes.txt', listed())


def yolo_flat_by_split(root: Path) -> None:
    """labelImg, with a folder for each split."""
    for split, chosen in (('train', TRAIN), ('val', VALID)):
        pictures(root / split, chosen)
        yolo_labels(root / split, chosen)
        put(root / split / 'classes.txt', listed())


def makesense_coco(root: Path) -> None:
    pictures(root, PICTURES)
    put(root / 'labels_my-project-name_2026-11-28-10-22-01.json', coco(PICTURES))


def voc_without_lists(root: Path) -> None:
    pictures(root / 'JPEGImages', PICTURES)
    voc_labels(root / 'Annotations', PICTURES)


def voc_lower_case(root: Path) -> None:
    pictures(root / 'images', PICTURES)
    voc_labels(root / 'annotations', PICTURES)


# Name in docs/data.md -> what writes the export, and what a user may hand in.
ONE_SPLIT = {
    'labelImg, YOLO': (labelimg_yolo, ['.', 'classes.txt']),
    'labelImg, YOLO, saved elsewhere': (labelimg_yolo_elsewhere, ['.', 'labels/classes.txt']),
    'labelImg, Pascal VOC': (labelimg_voc, ['.']),
    'Label Studio, YOLO': (label_studio_yolo, ['.', 'classes.txt', 'notes.json']),
    'Label Studio, COCO': (label_studio_coco, ['.', 'result.json']),
    'Label Studio, COCO, made on Windows': (label_studio_coco_windows, ['.', 'result.json']),
    'Label Studio, COCO, uploaded pictures': (label_studio_coco_upload, ['.', 'result.json']),
    'Label Studio, COCO, paths of its folder': (label_studio_coco_relative, ['.', 'result.json']),
    'CVAT, Pascal VOC': (cvat_voc, ['.', 'labelmap.txt']),
    'CVAT, COCO': (cvat_coco, ['.', 'annotations/instances_default.json']),
    'makesense.ai, COCO': (makesense_coco, ['.']),
    'Pascal VOC without lists': (voc_without_lists, ['.']),
    'Pascal VOC in lower case': (voc_lower_case, ['.']),
}
TRAIN_ONLY = {
    'CVAT, YOLO 1.1': (cvat_yolo, ['.', 'obj.data', 'obj.names']),
    'CVAT, Ultralytics YOLO Detection': (cvat_ultralytics, ['.', 'data.yaml']),
}
SPLITS = {
    'Roboflow, YOLO': (roboflow_yolo, ['.', 'data.yaml']),
    'Roboflow, COCO': (roboflow_coco, ['.']),
    'Roboflow, Pascal VOC': (roboflow_voc, ['.']),
    'Darknet': (darknet, ['.', 'data', 'data/obj.data', 'data/obj.names']),
    'YOLO without data.yaml': (yolo_without_yaml, ['.', 'classes.txt']),
    'YOLO without data.yaml, a folder a split': (yolo_by_split_without_yaml, ['.', 'classes.txt']),
    'labelImg, YOLO, a folder a split': (yolo_flat_by_split, ['.']),
}
