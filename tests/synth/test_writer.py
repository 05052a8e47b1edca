import json
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image, ImageDraw

from mbv3zoo.images.masks import read_mask
from mbv3zoo.synth import CLASS_NAMES, SyntheticConfig, synthesize
from mbv3zoo.version import __version__

SMALL = SyntheticConfig(train=12, val=5, image_size=96, workers=1, seed=7, negatives=0.2)


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob('*') if p.is_file()}


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp('synthetic') / 'set'
    done = []
    counts = synthesize(out, SMALL, progress=done.append)
    assert done == list(range(1, 18))
    return out, counts


def test_layout_and_counts(made):
    out, counts = made
    names = {f'{kind}/{split}/{i:06d}.{end}' for kind, end in (('images', 'jpg'), ('labels', 'txt'))
             for split, number in (('train', 12), ('val', 5)) for i in range(number)}  # fmt: skip
    names |= {'annotations/train.json', 'annotations/val.json', 'data.yaml', 'synthetic.json'}
    assert set(tree(out)) == names
    assert counts['train'] == 12 and counts['val'] == 5 and counts['classes'] == 16
    for split in ('train', 'val'):
        coco = json.loads((out / 'annotations' / f'{split}.json').read_text())
        assert len(coco['annotations']) == counts[f'{split}_objects'] > 0
    assert list(out.parent.iterdir()) == [out]


def test_data_yaml_and_provenance(made):
    out, _ = made
    data = yaml.safe_load((out / 'data.yaml').read_text())
    assert data == {'train': 'images/train', 'val': 'images/val', 'nc': 16, 'names': list(CLASS_NAMES)}
    provenance = json.loads((out / 'synthetic.json').read_text())
    assert provenance['version'] == __version__
    assert provenance['config']['seed'] == 7 and provenance['config']['objects'] == 'drawn'


@pytest.mark.parametrize('split', ['train', 'val'])
def test_yolo_labels_equal_coco_boxes_inside_the_image(made, split):
    out, _ = made
    coco = json.loads((out / 'annotations' / f'{split}.json').read_text())
    assert [c['id'] for c in coco['categories']] == list(range(1, 17))
    assert [c['name'] for c in coco['categories']] == list(CLASS_NAMES)
    assert len({a['id'] for a in coco['annotations']}) == len(coco['annotations'])
    negatives = 0
    for entry in coco['images']:
        with Image.open(out / 'images' / split / entry['file_name']) as image:
            assert image.size == (entry['width'], entry['height']) and image.format == 'JPEG'
        annotations = [a for a in coco['annotations'] if a['image_id'] == entry['id']]
        lines = (out / 'labels' / split / entry['file_name'].replace('jpg', 'txt')).read_text().splitlines()
        assert len(lines) == len(annotations)
        negatives += not lines
        for line, annotation in zip(lines, annotations, strict=True):
            label, *numbers = line.split(' ')
            assert all(len(number.split('.')[1]) == 6 for number in numbers)
            cx, cy, w, h = np.array(numbers, dtype=float) * ([entry['width'], entry['height']] * 2)
            x, y, width, height = annotation['bbox']
            np.testing.assert_allclose([cx - w / 2, cy - h / 2, w, h], [x, y, width, height], atol=1e-3)
            assert int(label) == annotation['category_id'] - 1
            assert annotation['area'] == width * height and annotation['iscrowd'] == 0
            assert x >= 0 and y >= 0 and x + width <= entry['width'] and y + height <= entry['height']
    if split == 'train':
        assert negatives


def test_coco_json_is_read_by_the_evaluation(made):
    COCO = pytest.importorskip('faster_coco_eval').COCO
    out, counts = made
    coco = COCO(str(out / 'annotations' / 'val.json'))
    results = [
        {'image_id': a['image_id'], 'category_id': a['category_id'], 'bbox': a['bbox'], 'score': 1.0}
        for a in coco.dataset['annotations']
    ]
    assert len(coco.loadRes(results).anns) == counts['val_objects']


def test_same_bytes_whatever_the_workers_and_other_bytes_for_other_seeds(made, tmp_path):
    out, counts = made
    assert synthesize(tmp_path / 'two', SMALL.model_copy(update={'workers': 2})) == counts
    assert tree(tmp_path / 'two') == tree(out)
    synthesize(tmp_path / 'other', SMALL.model_copy(update={'seed': 8}))
    other = tree(tmp_path / 'other')
    assert all(other[name] != data for name, data in tree(out).items() if name.endswith('jpg'))


def test_more_scenes_leave_the_first_as_they_were_and_splits_differ(made, tmp_path):
    files = tree(made[0])
    synthesize(tmp_path / 'less', SMALL.model_copy(update={'train': 3, 'val': 2}))
    for name, data in tree(tmp_path / 'less').items():
        assert name.startswith(('annotations', 'synthetic')) or data == files[name]
    assert files['images/train/000000.jpg'] != files['images/val/000000.jpg']


@pytest.mark.parametrize(('train', 'val'), [(0, 2), (2, 0), (0, 0)])
@pytest.mark.parametrize('workers', [0, 2])
def test_empty_splits(tmp_path, train, val, workers):
    counts = synthesize(str(tmp_path / 'set'), SyntheticConfig(train=train, val=val, image_size=64, workers=workers))
    assert (counts['train'], counts['val']) == (train, val)
    for split, number in (('train', train), ('val', val)):
        coco = json.loads((tmp_path / 'set' / 'annotations' / f'{split}.json').read_text())
        assert len(coco['images']) == number and len(coco['categories']) == 16
        assert len(list((tmp_path / 'set' / 'images' / split).iterdir())) == number


def test_only_negatives(tmp_path):
    counts = synthesize(tmp_path / 'set', SyntheticConfig(train=3, val=0, image_size=64, negatives=1, workers=1))
    assert counts['train_objects'] == 0
    assert (tmp_path / 'set' / 'labels' / 'train' / '000002.txt').read_text() == ''


def test_an_existing_set_is_never_overwritten(tmp_path):
    config = SyntheticConfig(train=1, val=0, image_size=64, workers=1)
    (tmp_path / 'set').mkdir()
    synthesize(tmp_path / 'set', config)
    before = tree(tmp_path / 'set')
    with pytest.raises(ValueError, match="set' exists and is no empty folder"):
        synthesize(tmp_path / 'set', config.model_copy(update={'seed': 1}))
    assert tree(tmp_path / 'set') == before
    (tmp_path / 'file').write_text('mine')
    with pytest.raises(ValueError, match="file' exists"):
        synthesize(tmp_path / 'file', config)
    assert (tmp_path / 'file').read_text() == 'mine'


@pytest.mark.parametrize('workers', [1, 2])
@pytest.mark.parametrize('error', [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_run_leaves_nothing(tmp_path, workers, error):
    def interrupt(done):
        if done == 5:
            raise error

    config = SyntheticConfig(train=40, val=5, image_size=64, workers=workers)
    with pytest.raises(error):
        synthesize(tmp_path / 'set', config, progress=interrupt)
    time.sleep(0.2)
    assert list(tmp_path.iterdir()) == []


def test_while_a_run_is_going_on_there_is_nothing_under_its_name(tmp_path):
    seen = []
    config = SyntheticConfig(train=2, val=0, image_size=64, workers=1)
    synthesize(tmp_path / 'set', config, progress=lambda done: seen.append((tmp_path / 'set').exists()))
    assert seen == [False, False] and (tmp_path / 'set').is_dir()


def draw_objects(folder):
    """Two classes of cut-outs: red discs and green bars."""
    for name, color in (('bar', (0, 220, 0, 255)), ('disc', (230, 0, 0, 255))):
        (folder / name).mkdir(parents=True)
        for i in range(2):
            image = Image.new('RGBA', (100, 100), (0, 0, 0, 0))
            draw = ImageDraw.Draw(image)
            if name == 'disc':
                draw.ellipse((10, 10, 70 + i * 9, 70 + i * 9), fill=color)
            else:
                draw.rectangle((0, 40, 99, 65 + i * 5), fill=color)
            image.save(folder / name / f'{i}.png')


def test_own_cutouts_on_own_backgrounds(tmp_path):
    draw_objects(tmp_path / 'objects')
    (tmp_path / 'pictures').mkdir()
    Image.new('RGB', (300, 200), (235, 235, 240)).save(tmp_path / 'pictures' / 'wall.jpg')
    config = SyntheticConfig(
        train=10, val=0, image_size=128, objects=tmp_path / 'objects', backgrounds=tmp_path / 'pictures',
        negatives=0.0, max_objects=1,
    )  # fmt: skip
    counts = synthesize(tmp_path / 'set', config)
    assert counts['classes'] == 2 and counts['train_objects'] == 10
    coco = json.loads((tmp_path / 'set' / 'annotations' / 'train.json').read_text())
    assert [c['name'] for c in coco['categories']] == ['bar', 'disc']
    for image, annotation in zip(coco['images'], coco['annotations'], strict=True):
        pixels = np.asarray(Image.open(tmp_path / 'set' / 'images' / 'train' / image['file_name'])).astype(int)
        wanted, other = (1, 0) if annotation['category_id'] == 1 else (0, 1)
        # The one coloured thing on the grey wall is where its box says, to a pixel or two of blur and JPEG.
        y, x = np.nonzero(pixels[..., wanted] - pixels[..., other] > 60)
        x0, y0, width, height = annotation['bbox']
        found = [x.min(), y.min(), x.max() + 1, y.max() + 1]
        np.testing.assert_allclose(found, [x0, y0, x0 + width, y0 + height], atol=3)
    text = (tmp_path / 'set' / 'synthetic.json').read_text()
    assert str(tmp_path) not in text and json.loads(text)['config']['objects'] == 'folder'


def test_bad_folders_are_refused_before_anything_is_written(tmp_path):
    (tmp_path / 'objects' / 'cat').mkdir(parents=True)
    for bad in ({'objects': tmp_path / 'objects'}, {'backgrounds': tmp_path / 'none'}):
        with pytest.raises(ValueError, match='expected'):
            synthesize(tmp_path / 'set', SyntheticConfig(train=1, val=0, **bad))
    assert [p.name for p in tmp_path.iterdir()] == ['objects']


@pytest.mark.parametrize('workers', [1, 2])
def test_a_background_that_breaks_off_stops_the_run_and_leaves_nothing(tmp_path, workers):
    (tmp_path / 'pictures').mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / 'pictures' / 'cut.png')
    data = (tmp_path / 'pictures' / 'cut.png').read_bytes()
    (tmp_path / 'pictures' / 'cut.png').write_bytes(data[:4000])
    config = SyntheticConfig(train=20, val=0, image_size=64, workers=workers, backgrounds=tmp_path / 'pictures')
    with pytest.raises(ValueError, match='cut.png'):
        synthesize(tmp_path / 'set', config)
    assert [p.name for p in tmp_path.iterdir()] == ['pictures']


def test_a_relative_nested_out_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    synthesize('a/b', SyntheticConfig(train=1, val=0, image_size=64, workers=1))
    assert (tmp_path / 'a' / 'b' / 'data.yaml').is_file()
    with pytest.raises(ValueError, match="out 'a/b' exists"):
        synthesize('a/b', SMALL)


@pytest.fixture(scope='module')
def made_with_shift(tmp_path_factory):
    out = tmp_path_factory.mktemp('synthetic') / 'set'
    done = []
    counts = synthesize(out, SMALL.model_copy(update={'shift': 6}), progress=done.append)
    assert done == list(range(1, 24))
    return out, counts


def test_a_shift_split_leaves_train_and_val_as_they_were(made, made_with_shift):
    plain, shifted = tree(made[0]), tree(made_with_shift[0])
    own = {f'{kind}/shift/{i:06d}.{end}' for kind, end in (('images', 'jpg'), ('labels', 'txt')) for i in range(6)}
    assert set(shifted) - set(plain) == own | {'annotations/shift.json'}
    assert {name for name in plain if plain[name] != shifted[name]} == {'data.yaml', 'synthetic.json'}
    counts = made_with_shift[1]
    assert counts['shift'] == 6 and counts['shift_objects'] > 0
    assert {name: counts[name] for name in made[1]} == made[1]


def test_masks_are_the_visible_parts_and_change_nothing_else(made, tmp_path):
    out, _ = made
    synthesize(tmp_path / 'set', SMALL.model_copy(update={'masks': True}))
    before, after = tree(out), tree(tmp_path / 'set')
    assert all(after[name] == data for name, data in before.items() if name != 'synthetic.json')
    assert (tmp_path / 'set/masks/classes.txt').read_text().split() == ['background', *CLASS_NAMES]
    for split, number in (('train', 12), ('val', 5)):
        rows = json.loads(before[f'annotations/{split}.json'])['annotations']
        for index in range(number):
            mask = read_mask(tmp_path / f'set/masks/{split}/{index:06d}.png')
            own = [row for row in rows if row['image_id'] == index + 1]
            # Each class is seen exactly within the boxes of its objects, which are tight.
            assert set(np.unique(mask)) - {0} == {row['category_id'] for row in own}
            for label in {row['category_id'] for row in own}:
                boxes = np.array([row['bbox'] for row in own if row['category_id'] == label])
                y, x = np.nonzero(mask == label)
                corners = boxes[:, :2].min(0), (boxes[:, :2] + boxes[:, 2:]).max(0)
                assert (x.min(), y.min()) == tuple(corners[0]) and (x.max() + 1, y.max() + 1) == tuple(corners[1])


def test_without_a_shift_split_nothing_names_it(made):
    out, counts = made
    assert not [name for name in tree(out) if 'shift' in name] and not [name for name in counts if 'shift' in name]
    assert 'shift' not in (out / 'data.yaml').read_text() + (out / 'synthetic.json').read_text()


def test_files_of_the_shift_split(made_with_shift):
    out, counts = made_with_shift
    data = yaml.safe_load((out / 'data.yaml').read_text())
    assert data['shift'] == 'images/shift' and list(data)[:3] == ['train', 'val', 'shift']
    assert json.loads((out / 'synthetic.json').read_text())['config']['shift'] == 6
    coco = json.loads((out / 'annotations' / 'shift.json').read_text())
    assert len(coco['annotations']) == counts['shift_objects'] and len(coco['images']) == 6
    tables = {'shift': [], 'train': []}
    for split, sums in tables.items():
        for path in sorted((out / 'images' / split).iterdir()):
            with Image.open(path) as image:
                sums.append(sum(map(sum, image.quantization.values())))
    # Coarser steps in every JPEG than in any of training.
    assert min(tables['shift']) > max(tables['train'])
    for entry in coco['images']:
        lines = (out / 'labels' / 'shift' / entry['file_name'].replace('jpg', 'txt')).read_text().splitlines()
        boxes = [a['bbox'] for a in coco['annotations'] if a['image_id'] == entry['id']]
        assert len(lines) == len(boxes)
        for line, (x, y, width, height) in zip(lines, boxes, strict=True):
            cx, cy, w, h = np.array(line.split()[1:], dtype=float) * ([entry['width'], entry['height']] * 2)
            np.testing.assert_allclose([cx - w / 2, cy - h / 2, w, h], [x, y, width, height], atol=1e-3)
            assert x >= 0 and y >= 0 and x + width <= entry['width'] and y + height <= entry['height']


def test_shift_bytes_depend_on_neither_workers_nor_the_other_splits_nor_own_backgrounds(made_with_shift, tmp_path):
    (tmp_path / 'pictures').mkdir()
    Image.new('RGB', (300, 200), (235, 235, 240)).save(tmp_path / 'pictures' / 'wall.jpg')
    changes = {'train': 0, 'val': 1, 'shift': 6, 'workers': 2, 'backgrounds': tmp_path / 'pictures'}
    synthesize(tmp_path / 'set', SMALL.model_copy(update=changes))
    files = tree(tmp_path / 'set')
    shift = {name: data for name, data in tree(made_with_shift[0]).items() if 'shift' in name}
    assert len(shift) == 13 and all(files[name] == data for name, data in shift.items())


@pytest.mark.parametrize('name', ['000001.jpg', '000000.txt', 'data.yaml', 'train.json', 'synthetic.json'])
def test_a_full_disk_names_the_folder_and_leaves_nothing(tmp_path, monkeypatch, name):
    def full(real):
        def write(self, *args, **options):
            path = args[0] if isinstance(self, Image.Image) else self
            if path.name == name:
                raise OSError(28, 'No space left on device')
            return real(self, *args, **options)

        return write

    monkeypatch.setattr(Path, 'write_text', full(Path.write_text))
    monkeypatch.setattr(Image.Image, 'save', full(Image.Image.save))
    with pytest.raises(OSError, match=f'could not write {name} in the folder {tmp_path}/out.*: the disk is full'):
        synthesize(tmp_path / 'out', SyntheticConfig(train=2, val=1, image_size=64, workers=0))
    assert not list(tmp_path.iterdir())


def test_a_dataset_that_another_process_makes_is_refused_at_the_beginning(tmp_path):
    config, refused = SyntheticConfig(train=2, val=1, image_size=64, workers=1), []

    def second(done):
        with pytest.raises(ValueError, match='set.* is being written by another process; wait until it ends') as caught:
            synthesize(tmp_path / 'set', config)
        refused.append(caught)

    synthesize(tmp_path / 'set', config, second)
    assert len(refused) == 3
    assert [path.name for path in tmp_path.iterdir()] == ['set']


def test_what_a_killed_process_left_of_a_dataset_is_not_part_of_the_next(tmp_path):
    left = tmp_path / '.set.unfinished' / 'dataset' / 'images' / 'train'
    left.mkdir(parents=True)
    (left / '000009.jpg').touch()
    synthesize(tmp_path / 'set', SyntheticConfig(train=2, val=1, image_size=64, workers=1))
    assert [path.name for path in tmp_path.iterdir()] == ['set']
    assert sorted(path.name for path in (tmp_path / 'set' / 'images' / 'train').iterdir()) == [
        '000000.jpg',
        '000001.jpg',
    ]
