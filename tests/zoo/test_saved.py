import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

import mbv3zoo
from mbv3zoo.saving import folder as saved_folder
from mbv3zoo.saving import settled
from mbv3zoo.zoo.configs import named_weights
from mbv3zoo.zoo.resolve import copy_saved, resolve

FOLDER = named_weights()['mbv3_yolo_small.synth']


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
    detector = mbv3zoo.create_detector('mbv3_yolo_small_050', class_names=['cat', 'dog'], image_size=64)
    return detector.save_pretrained(tmp_path_factory.mktemp('saved'))


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / 'copy')


def edit(folder, settings=None, tensor=None, name='head.convs.0.bias'):
    """Changes the record or a tensor, on purpose."""
    path = folder / 'config.json'
    config = json.loads(path.read_text())
    del config['sha256']
    config['detector'] |= settings or {}
    path.write_text(json.dumps(config))
    file = folder / ('detector.safetensors' if name.startswith('head.') else 'model.safetensors')
    if tensor is not None:
        save_file({**load_file(file), name: tensor}, file)


def test_weights_that_are_not_wanted_are_not_read(tmp_path):
    for path in FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes() if path.name == 'config.json' else b'damaged')
    source = resolve(tmp_path)
    assert source.read_config() == resolve(FOLDER).read_config()
    with pytest.raises(ValueError, match='corrupt'):
        source.read_weights()


TWO_ANCHORS = [[[10, 13], [16, 30]], [[30, 61], [62, 45]], [[116, 90], [156, 198]]]


@pytest.mark.parametrize('classes', [{}, {'class_names': ['dog', 'owl', 'bee']}])
@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'settings': {'anchors': TWO_ANCHORS}}, r'head\.convs\.0\.\w+ is \[21.*expected (2|\[14\])'),
        ({'settings': {'num_classes': 3, 'class_names': ['a', 'b', 'c']}}, r'head\.convs\.0\.\w+ is \[21.*expected'),
        ({'settings': {'in_chans': 1, 'mean': None, 'std': None}}, r'stem\.weight is \[16, 3, .*expected \[16, 1'),
        ({'settings': {'width_multiple': 0.5}}, r'head\.convs\.0\.weight is \[21, 64, 1, 1\], expected \[\d+, 128'),
        ({'settings': {'backbone_args': {'output_stride': 16}}}, 'neck.top_down4'),
        ({'settings': {'backbone': 'resnet81'}}, 'resnet81'),
        ({'tensor': torch.ones(21).int()}, r'head\.convs\.0\.bias is of type int32, expected float32'),
        ({'tensor': torch.ones(21) * torch.nan}, r'NaN or infinity in 1 tensor of the weights, head\.convs\.0\.bias'),
        ({'tensor': torch.ones(21).double() * 1e300}, r'NaN or infinity in 1 tensor'),
        ({'tensor': torch.tensor(1.0)}, r'head\.convs\.0\.bias is \[\], expected'),
        ({'tensor': torch.full((16,), torch.inf), 'name': 'bn1.running_var'}, r'NaN or inf.* backbone\..*running_var'),
    ],
)  # fmt: skip
def test_a_record_that_does_not_fit_its_weights_is_told_with_the_folder_and_the_tensor(copy, changes, message, classes):
    edit(copy, **changes)
    with pytest.raises(ValueError, match=message) as caught:
        mbv3zoo.create_detector(copy, pretrained=True, **classes)
    assert str(copy) in str(caught.value) and '\n' not in str(caught.value)


def test_a_flip_of_any_byte_is_told_or_changes_nothing(saved, copy, monkeypatch):
    monkeypatch.setattr(settled, '_WAITS', ())
    whole = mbv3zoo.load(saved)
    for path in sorted(copy.glob('*.[js]*')):
        data = path.read_bytes()
        places = {*range(0, 8), *range(8, len(data), -(-len(data) // 60)), len(data) - 1}
        for bit, place in enumerate(sorted(places)):
            flipped = bytearray(data)
            flipped[place] ^= 1 << bit % 8
            path.write_bytes(flipped)
            try:
                source = resolve(copy)
                config, weights = source.read_config(pretrained=True), source.read_weights()
            except ValueError as error:
                assert str(copy) in str(error)
            else:
                # A letter of a class name, say, which no digest covers; the weights are those that were saved.
                assert path.name == 'config.json' and config is not None
                assert weights.head.keys() == resolve(saved).read_weights().head.keys()
        path.write_bytes(data)
    assert mbv3zoo.load(copy).config == whole.config


def test_a_reader_waits_for_a_save_that_is_in_the_middle(saved, copy, monkeypatch):
    other = mbv3zoo.create_detector('mbv3_yolo_small_050', class_names=['owl', 'bee'], image_size=64)
    new = other.save_pretrained(copy.parent / 'new')
    shutil.copy(new / 'config.json', copy)

    def finish(seconds):
        for name in saved_folder.WEIGHT_NAMES:
            shutil.copy(new / name, copy)

    monkeypatch.setattr(settled.time, 'sleep', finish)
    loaded = mbv3zoo.load(copy)
    assert loaded.config.class_names == ('owl', 'bee')
    assert torch.equal(loaded.head.convs[0].bias, other.head.convs[0].bias)


def test_what_is_copied_is_whole(copy, tmp_path):
    assert mbv3zoo.load(copy_saved(copy, tmp_path / 'one')).config.class_names == ('cat', 'dog')
    path = copy / 'detector.safetensors'
    path.write_bytes(path.read_bytes()[:-1] + b'x')
    with pytest.raises(ValueError, match=r'detector\.safetensors is not the file that was saved'):
        copy_saved(copy, tmp_path / 'two')


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    detector = mbv3zoo.create_detector('mbv3_yolo_small_050', image_size=64)
    folder = detector.save_pretrained(tmp_path / 'saved')
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for value, dtype in ((torch.nan, None), (1e5, torch.float16)):
        with torch.no_grad():
            detector.head.convs[0].bias[0] = value
        with pytest.raises(ValueError, match=r'cannot be saved.*: NaN or infinity in 1 tensor .*head\.convs\.0\.bias'):
            detector.save_pretrained(folder, dtype=dtype)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
