"""A YOLO dataset with one fault of each kind."""

import shutil

import numpy as np
from PIL import Image

CLASS_NAMES = ('ball', 'cube', 'cone')


def write_faulty_set(folder):
    """Writes 14 images of train and 4 of val, 200 x 160, and returns the path of data.yaml.

    train/0 is doubled, in train and in val; train/1 is in val at half the size; train/2 is cut; train/3 is grey;
    train/4 has no objects; train/5 has a box twice; train/6 a thin one, train/7 a small one and a tiny one, train/8
    one outside. val has objects of a class that train has not.
    """
    rng = np.random.default_rng(0)
    for name in ('images/train', 'images/val', 'labels/train', 'labels/val'):
        (folder / name).mkdir(parents=True)

    def write(split, name, rows, label=None, grey=False):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize((200, 160), Image.Resampling.BICUBIC)
        (coarse.convert('L') if grey else coarse).save(folder / 'images' / split / f'{name}.png')
        lines = [f'{own} {x} {y} {w} {h}\n' for own, x, y, w, h in rows]
        (folder / 'labels' / split / f'{name}.txt').write_text(''.join(lines))

    usual = [(0, 0.3, 0.3, 0.3, 0.3), (1, 0.7, 0.7, 0.3, 0.3)]
    for i in range(12):
        rows = {
            4: [],
            5: [*usual, (0, 0.3, 0.3, 0.3, 0.31)],
            6: [*usual, (1, 0.5, 0.9, 0.9, 0.02)],
            7: [*usual, (1, 0.5, 0.1, 0.01, 0.012), (1, 0.5, 0.2, 0.04, 0.04)],
            8: [*usual, (1, 0.95, 0.5, 0.3, 0.2)],
        }.get(i, usual)
        write('train', i, rows, grey=i == 3)
    for i in range(2):
        write('val', i, [*usual, (2, 0.5, 0.5, 0.2, 0.2)])
    pictures, labels = folder / 'images', folder / 'labels'
    for split in ('train', 'val'):
        shutil.copy(pictures / 'train/0.png', pictures / split / 'copy.png')
        shutil.copy(labels / 'train/0.txt', labels / split / 'copy.txt')
    with Image.open(pictures / 'train/1.png') as image:
        image.resize((100, 80)).save(pictures / 'val/half.jpg')
    shutil.copy(labels / 'train/1.txt', labels / 'val/half.txt')
    whole = (pictures / 'train/2.png').read_bytes()
    (pictures / 'train/2.png').write_bytes(whole[: len(whole) // 2])
    names = '\n'.join(f'  {i}: {name}' for i, name in enumerate(CLASS_NAMES))
    (folder / 'data.yaml').write_text(f'train: images/train\nval: images/val\nnames:\n{names}\n')
    return folder / 'data.yaml'
