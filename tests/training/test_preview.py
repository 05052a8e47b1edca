import pytest
from tiny_sets import write_yolo_set

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.data.load import load_dataset
from mbv3zoo.data.samples import TrainSamples
from mbv3zoo.plots import pictures
from mbv3zoo.training.preview import draw_preview, preview_file


@pytest.fixture(scope='module')
def train_set(tmp_path_factory):
    return load_dataset(write_yolo_set(tmp_path_factory.mktemp('tiny'), {'train': 40, 'val': 1}), 'train')


@pytest.fixture
def drawn(train_set, tmp_path, monkeypatch):
    """Draws with settings, and returns the names under the pictures and the line above them."""
    seen = {}
    monkeypatch.setattr(pictures, 'write_sheet', lambda rows, captions, title, *_: seen.update(c=captions, t=title))

    def draw(**settings):
        samples = TrainSamples(train_set, (64, 64), TrainConfig(**settings))
        draw_preview(samples, train_set.class_names, tmp_path / 'a.png')
        return [caption.split('\n')[0] for caption in seen['c']], seen['t']

    return draw


def test_a_seed_draws_the_same_pictures_again_and_another_seed_others(drawn):
    names, title = drawn()
    assert title == '16 of 40 training pictures, drawn with seed 0, 64 x 64 pixels'
    assert drawn()[0] == names == sorted(set(names)) and len(names) == 16
    assert names != [f'{i:03d}.png' for i in range(16)]
    assert drawn(seed=1)[0] != names and drawn(seed=-1)[0] != names


def test_what_is_made_of_several_pictures_names_all_or_the_first_and_how_many_more(drawn):
    whole, *_ = drawn()
    mosaics, _ = drawn(mosaic=1)
    assert all(text.startswith(name) and text.count('.png') > 1 for text, name in zip(mosaics, whole, strict=True))
    mixed, _ = drawn(mosaic=1, mixup=1)
    assert all(text.startswith(name) for text, name in zip(mixed, whole, strict=True))
    assert any(' more' in text for text in mixed) and max(map(len, mixed)) < 60


def test_a_preview_replaces_nothing(tmp_path):
    path = tmp_path / 'a' / 'batch.png'
    assert preview_file(str(path)) == path
    path.parent.mkdir()
    for expected in ('batch.png', 'batch-2.png', 'batch-3.png'):
        assert preview_file(path).name == expected
        preview_file(path).touch()
    assert preview_file(path.parent) == path.parent / 'train_batch.png'
    with pytest.raises(ValueError, match=r'batch\.jpg: a preview is a PNG file; choose a name that ends in \.png'):
        preview_file('batch.jpg')
