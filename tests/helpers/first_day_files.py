"""What the people of docs/first_days.md bring along, made without any file from elsewhere.

    python tests/helpers/first_day_files.py labelimg FOLDER
    python tests/helpers/first_day_files.py yolov5 FOLDER
    python tests/helpers/first_day_files.py timm FOLDER

The pictures are composed by `mbv3zoo synth` from drawn cut-outs. The checkpoint has the modules of YOLOv5n's tree, and
weights that were trained here for a minute.
"""

import logging
import shutil
import sys
from pathlib import Path

import torch
import yaml
from PIL import Image, ImageDraw
from yolov5_tree import OFFICIAL_LAYERS, yolov5_checkpoint

import mbv3zoo
from mbv3zoo.convert.convert import convert_checkpoint
from mbv3zoo.synth.config import SyntheticConfig
from mbv3zoo.synth.writer import synthesize

# Class -> (width, height) in pixels, and what is drawn: a shape of ImageDraw, its corners as fractions, its colour.
CUTOUTS = {
    'key': ((160, 60), [('ellipse', (0, 0, 0.4, 1), 'gold'), ('rectangle', (0.35, 0.4, 1, 0.6), 'gold')]),
    'mug': ((110, 120), [('ellipse', (0.5, 0.2, 1, 0.8), 'navy'), ('rectangle', (0, 0, 0.75, 1), 'royalblue')]),
    'pen': ((180, 26), [('rectangle', (0, 0, 0.85, 1), 'firebrick'), ('ellipse', (0.7, 0.2, 1, 0.8), 'black')]),
}

TO_TIMM = """import timm

name = 'local-dir:runs/train-1/best'
backbone = timm.create_model(name, features_only=True, pretrained=True)
print(backbone.feature_info.channels(), backbone.feature_info.reduction())
"""


def write_labelimg(folder: Path, photos: int = 160, new: int = 6) -> None:
    """`photos/`, as labelImg leaves a folder where it writes YOLO's format, and `new_photos/` without labels."""
    scenes = _scenes(folder, photos, new, seed=0)
    for name in ('photos', 'new_photos'):
        (folder / name).mkdir()
    for picture in sorted((scenes / 'images/train').iterdir()):
        name = f'IMG_{int(picture.stem):04}'
        shutil.copy(picture, folder / 'photos' / f'{name}.jpg')
        labels = scenes / 'labels/train' / f'{picture.stem}.txt'
        if labels.exists():
            shutil.copy(labels, folder / 'photos' / f'{name}.txt')
    (folder / 'photos/classes.txt').write_text('\n'.join(CUTOUTS) + '\n')
    for picture in sorted((scenes / 'images/val').iterdir()):
        shutil.copy(picture, folder / 'new_photos' / f'NEW_{int(picture.stem):04}.jpg')
    shutil.rmtree(scenes)


def write_timm(folder: Path) -> None:
    """`office/` with its data.yaml, and a script that opens a trained backbone in timm."""
    _office(folder)
    (folder / 'to_timm.py').write_text(TO_TIMM)


def write_yolov5(folder: Path, epochs: int = 12) -> None:
    """`office/` with its data.yaml, `yolov5n.yaml`, and `best.pt`."""
    _office(folder)
    layers = OFFICIAL_LAYERS | {'nc': len(CUTOUTS)}
    (folder / 'yolov5n.yaml').write_text(yaml.safe_dump(layers, sort_keys=False))
    logging.disable()
    trained = mbv3zoo.train(
        folder / 'office/data.yaml',
        model=folder / 'yolov5n.yaml',
        image_size=160,
        epochs=epochs,
        eval_every=epochs,
        augmentation='none',
        workers=0,
        out=folder / 'run',
    ).detector
    weights = _as_in_yolov5(trained.state_dict(), layers, folder / 'unfilled.pt')
    yolov5_checkpoint(folder / 'best.pt', layers, names=list(CUTOUTS), fill=lambda name, shape: weights[name])
    shutil.rmtree(folder / 'run')


def _office(folder: Path) -> None:
    _scenes(folder, train=200, val=40, seed=7).rename(folder / 'office')


def _scenes(folder: Path, train: int, val: int, seed: int) -> Path:
    objects = folder / 'cutouts'
    for name, (size, parts) in CUTOUTS.items():
        (objects / name).mkdir(parents=True)
        for number, brightness in enumerate((1.0, 0.8)):
            _cutout(size, parts, brightness).save(objects / name / f'{number}.png')
    config = SyntheticConfig(
        train=train, val=val, image_size=320, max_objects=3, min_scale=0.25, objects=objects, seed=seed
    )
    synthesize(folder / 'scenes', config)
    shutil.rmtree(objects)
    return folder / 'scenes'


def _as_in_yolov5(state: dict[str, torch.Tensor], layers: dict, scratch: Path) -> dict[str, torch.Tensor]:
    """The weights of a detector, by the names that they have in YOLOv5's tree."""
    tree = yolov5_checkpoint(scratch, layers)
    converted, _ = convert_checkpoint(scratch, scratch.with_suffix(''))
    shutil.rmtree(scratch.with_suffix(''))
    scratch.unlink()
    # Each tensor of that checkpoint has values of its own, which say where the conversion has put it: into a tensor, or
    # into some rows of one.
    places = {name: _bytes(tensor) for name, tensor in converted.state_dict().items()}
    return {name: _found(tensor, places, state) for name, tensor in tree.items() if not name.endswith('.anchors')}


def _found(tensor: torch.Tensor, places: dict[str, bytes], state: dict[str, torch.Tensor]) -> torch.Tensor:
    content = _bytes(tensor)
    name = next(name for name, place in places.items() if content in place)
    start = places[name].index(content) // 4
    return state[name].flatten()[start : start + tensor.numel()].view(tensor.shape)


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.float().contiguous().numpy().tobytes()


def _cutout(size, parts, brightness):
    image = Image.new('RGBA', size, (0, 0, 0, 0))
    painter = ImageDraw.Draw(image)
    for shape, corners, colour in parts:
        box = [round(part * side) for part, side in zip(corners, (*size, *size), strict=True)]
        getattr(painter, shape)(box, fill=colour)
    red, green, blue, alpha = image.split()
    dimmed = [band.point(lambda value: round(value * brightness)) for band in (red, green, blue)]
    return Image.merge('RGBA', (*dimmed, alpha))


if __name__ == '__main__':
    {'labelimg': write_labelimg, 'timm': write_timm, 'yolov5': write_yolov5}[sys.argv[1]](Path(sys.argv[2]))
