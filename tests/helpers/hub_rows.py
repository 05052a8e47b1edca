"""Small datasets of the Hugging Face library, in the usual layout of detection."""

import io

from PIL import Image

NAMES = ['cat', 'dog']


def encoded(color=0, size=(80, 60), format='PNG'):
    file = io.BytesIO()
    Image.new('RGB', size, (color, 0, 0)).save(file, format)
    return file.getvalue()


def row(boxes=((10, 10, 20, 30),), categories=(0,), picture=None, as_list=False, **more):
    objects = {'bbox': [list(box) for box in boxes], 'category': list(categories)} | more
    if as_list:
        objects = [dict(zip(objects, values, strict=True)) for values in zip(*objects.values(), strict=True)]
    return {'image': picture or {'bytes': encoded(), 'path': 'a.png'}, 'objects': objects}


def save(library, folder, category=None, as_list=False, more=(), **splits):
    """Writes splits of rows as Parquet files with the pictures in them; returns the set's source."""
    kinds = {'id': 'int64', 'area': 'float32', 'iscrowd': 'bool'}
    value = library.Value
    each = {'bbox': library.List(value('float32')), 'category': category or library.ClassLabel(names=NAMES)}
    each |= {name: value(kinds[name]) for name in more}
    objects = library.List(each) if as_list else {name: library.List(kind) for name, kind in each.items()}
    features = library.Features({'image': library.Image(), 'objects': objects})
    folder.mkdir()
    for split, rows in splits.items():
        columns = {name: [each_row[name] for each_row in rows] for name in features}
        library.Dataset.from_dict(columns, features=features).to_parquet(folder / f'{split}.parquet')
    return f'hub:{folder}'
