import json
import os

import pytest
import timm
import torch
import yolov5_tree
from detector_logits import assert_same, logits_of
from torch import nn
from yolov5_tree import MULTIPLES, OFFICIAL_LAYERS, PATCHED_LAYERS, UPSAMPLE, yolov5_checkpoint

import mbv3zoo
from mbv3zoo.config.license_record import LicensedPart
from mbv3zoo.convert.convert import convert_checkpoint, load_yolov5
from mbv3zoo.models.layer_lists import blocks

SMALL = {**OFFICIAL_LAYERS, **MULTIPLES['n'], 'nc': 2}
PATCHED = {**PATCHED_LAYERS, 'nc': 2}
# One stage more, to stride 64.
P6 = {
    **SMALL,
    'anchors': [[10, 13, 16, 30], [30, 61, 62, 45], [116, 90, 156, 198], [400, 300, 500, 700]],
    'backbone': [
        *OFFICIAL_LAYERS['backbone'][:7],
        [-1, 1, 'Conv', [768, 3, 2]],
        [-1, 3, 'C3', [768]],
        [-1, 1, 'Conv', [1024, 3, 2]],
        [-1, 3, 'C3', [1024]],
        [-1, 1, 'SPPF', [1024, 5]],
    ],
    'head': [
        [-1, 1, 'Conv', [768, 1, 1]],
        UPSAMPLE,
        [[-1, 8], 1, 'Concat', [1]],
        [-1, 3, 'C3', [768, False]],
        [[4, 6, 15, 11], 1, 'Detect', ['nc', 'anchors']],
    ],
}


@pytest.fixture(autouse=True)
def _fresh_table(monkeypatch):
    monkeypatch.setattr(blocks, '_registered', {})


def test_what_comes_along(tmp_path):
    yolov5_checkpoint(tmp_path / 'best.pt', SMALL, names={0: 'cat', 1: 'dog'}, opt={'imgsz': 416, 'data': 'pets.yaml'})
    detector, checkpoint = load_yolov5(tmp_path / 'best.pt')
    config = detector.config
    assert checkpoint.source == 'ema' and not detector.training
    assert config.class_names == ('cat', 'dog') and config.image_size == (416, 416)
    assert config.backbone == 'cspdarknet_v6_n' and config.neck == 'pan' and detector.strides == (8, 16, 32)
    assert config.anchors[0] == ((10, 13), (16, 30), (33, 23)) and config.anchors[2][2] == (373, 326)
    # YOLOv5 takes pictures in 0..1 as they are.
    assert config.mean == (0, 0, 0) and config.std == (1, 1, 1)
    assert config.licenses.imported == LicensedPart(license='agpl-3.0', source='YOLOv5 checkpoint best.pt')
    assert config.licenses.backbone.license == 'none' and config.licenses.data == (LicensedPart(source='pets'),)


def test_anchors_are_those_that_were_trained_with(tmp_path):
    def fitted(model):
        model.model[-1].anchors[:] = torch.tensor([[[1.25, 2.5]] * 3] * 3)

    yolov5_checkpoint(tmp_path / 'best.pt', SMALL, change=fitted)
    anchors = load_yolov5(tmp_path / 'best.pt').detector.config.anchors
    assert anchors == tuple((((1.25 * stride, 2.5 * stride),) * 3) for stride in (8, 16, 32))


@pytest.mark.parametrize('layers', [SMALL, PATCHED, P6], ids=['official', 'patched', 'P6'])
def test_the_folder_is_an_ordinary_one(tmp_path, layers):
    yolov5_checkpoint(tmp_path / 'best.pt', layers)
    detector = convert_checkpoint(tmp_path / 'best.pt', tmp_path / 'out').detector
    expected = logits_of(detector)
    assert sorted(os.listdir(tmp_path / 'out')) == [
        'README.md', 'config.json', 'detector.safetensors', 'model.safetensors',
    ]  # fmt: skip
    loaded = mbv3zoo.Detector.from_pretrained(tmp_path / 'out')
    assert loaded.config == detector.config
    assert_same(logits_of(loaded), expected)
    assert_same(logits_of(loaded.fuse()), expected, atol=1e-4)
    # As every other it can be trained further, with a backbone that is frozen, for other classes.
    tuned = mbv3zoo.create_detector(tmp_path / 'out', pretrained=True, class_names=['1', 'x'], freeze_backbone=1)
    sum(level.sum() for level in tuned.train()(torch.rand(2, 3, 64, 64))).backward()
    card = (tmp_path / 'out' / 'README.md').read_text(encoding='utf-8')
    assert 'license: agpl-3.0' in card and 'mbv3zoo convert best.pt' in card


def test_timm_loads_the_backbone(tmp_path):
    yolov5_checkpoint(tmp_path / 'best.pt', SMALL)
    detector = convert_checkpoint(tmp_path / 'best.pt', tmp_path / 'out').detector
    backbone = timm.create_model(f'local-dir:{tmp_path / "out"}', features_only=True, pretrained=True).eval()
    x = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        assert_same(backbone(x)[1:], detector.backbone(x))
    record = json.loads((tmp_path / 'out' / 'config.json').read_text(encoding='utf-8'))['pretrained_cfg']
    assert record['license'] == 'agpl-3.0' and record['mean'] == [0, 0, 0]


def test_half_precision_and_no_ema(tmp_path):
    yolov5_checkpoint(tmp_path / 'whole.pt', SMALL)
    yolov5_checkpoint(tmp_path / 'half.pt', SMALL, half=True, ema=False)
    whole, half = (load_yolov5(tmp_path / f'{name}.pt') for name in ('whole', 'half'))
    assert half.checkpoint.source == 'model' and whole.detector.config.anchors == half.detector.config.anchors
    assert all(tensor.dtype == torch.float32 for tensor in half.detector.parameters())
    assert_same(logits_of(whole.detector), logits_of(half.detector), atol=0.05)


@pytest.mark.parametrize('called', ['MobileNetV3', 'mobilenet_v3_large', 'MyBackbone'])
def test_a_mobilenet_is_known_by_its_tensors(tmp_path, called):
    layers = {**PATCHED, 'backbone': [[-1, 1, called, []], *PATCHED['backbone'][1:]]}

    def renamed(model):
        model.yaml = layers

    yolov5_checkpoint(tmp_path / 'best.pt', PATCHED, change=renamed)
    detector = load_yolov5(tmp_path / 'best.pt').detector
    assert detector.config.backbone == 'mbv3_yolo_large_exact_se'
    assert detector.config.backbone_args == {'bn_eps': 1e-3, 'bn_momentum': 0.03}
    # As the file wires it: the last concatenation takes the SPPF, row 5.
    assert detector.config.neck.rows[13].sources == (17, 5)


def test_the_same_with_the_official_wiring_has_a_pan(tmp_path):
    head = [[[-1, 6], *row[1:]] if row[0] == [-1, 5] else row for row in PATCHED['head']]
    yolov5_checkpoint(tmp_path / 'best.pt', {**PATCHED, 'head': head})
    assert load_yolov5(tmp_path / 'best.pt').detector.config.neck == 'pan'


def test_another_eps_is_made_up_for(tmp_path):
    def changed(eps):
        def change(model):
            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.running_var += 1e-3 - eps
                    module.eps = eps

        return change

    logits = []
    for eps in (1e-3, 1e-5, 1e-2):
        yolov5_checkpoint(tmp_path / f'{eps}.pt', SMALL, change=changed(eps))
        logits.append(logits_of(load_yolov5(tmp_path / f'{eps}.pt').detector))
    assert_same(logits[0], logits[1], atol=1e-4)
    assert_same(logits[0], logits[2], atol=1e-4)


def test_names_that_a_config_cannot_have(tmp_path, caplog):
    yolov5_checkpoint(tmp_path / 'best.pt', SMALL, names=['cat', 'cat'])
    assert load_yolov5(tmp_path / 'best.pt').detector.config.class_names == ('cat', 'cat (2)')
    assert 'cat (2)' in caplog.text
    yolov5_checkpoint(tmp_path / 'line.pt', SMALL, names=['a\nb', 'c'])
    assert load_yolov5(tmp_path / 'line.pt').detector.config.class_names == ('a b', 'c')


class Scale(nn.Module):
    """A block of a user's own."""

    def __init__(self, channels):
        super().__init__()
        self.cv1 = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        return x * self.cv1(x)


def with_own_block(model):
    """Puts a Scale, under another name, in front of the SPPF's second convolution."""
    layers, added = list(model.model), nn.Module()
    added.cv1 = nn.Conv2d(128, 128, 1)
    rows = [*SMALL['head'][:-1], [17, 1, 'Scale', []], [[24, 20, 23], 1, 'Detect', ['nc', 'anchors']]]
    added.cv1, added.f, layers[-1].f = nn.Conv2d(64, 64, 1), 17, [24, 20, 23]
    model.yaml = {**SMALL, 'head': rows}
    model.model = nn.Sequential(*layers[:-1], added, layers[-1])


def test_blocks_of_ones_own(tmp_path):
    yolov5_checkpoint(tmp_path / 'best.pt', SMALL, change=with_own_block)
    with pytest.raises(ValueError, match=r"best.pt: row 24 \(Scale.*unknown block 'Scale'.*register_block"):
        load_yolov5(tmp_path / 'best.pt')
    mbv3zoo.register_block('Scale', Scale, channels='in')
    detector = load_yolov5(tmp_path / 'best.pt').detector
    assert isinstance(detector.neck.layers['24'], Scale) and detector.strides == (8, 16, 32)


def test_what_does_not_fit_is_named_and_nothing_is_written(tmp_path):
    def wider(model):
        model.model[0].conv.weight = nn.Parameter(torch.zeros(16, 3, 3, 3))

    def unlike(model):
        model.model[0].model = model.model[0].model[:-2]

    def strides(model):
        model.model[-1].stride = torch.tensor([4.0, 8.0, 16.0])

    cases = [
        (SMALL, wider, r'stem_conv1.conv.weight is \[16, 3, 3, 3\], expected \[16, 3, 6, 6\]'),
        (PATCHED, unlike, 'first layer, a MobileNetV3 of .* tensors, is no block that is known and no network'),
        (SMALL, strides, r'strides \[8, 16, 32\], but its Detect has \[4, 8, 16\]'),
    ]
    for layers, change, words in cases:
        yolov5_checkpoint(tmp_path / 'best.pt', layers, change=change)
        with pytest.raises(ValueError, match=f'best.pt: .*{words}'):
            convert_checkpoint(tmp_path / 'best.pt', tmp_path / 'out')
        assert os.listdir(tmp_path) == ['best.pt']


def test_a_timm_model_as_backbone(tmp_path, monkeypatch):
    """Trees that wrap timm: the network keeps the eps of its own norms, the rest has YOLOv5's."""

    def resnet():
        model = timm.create_model('resnet18', features_only=True, out_indices=(1, 2, 3, 4))
        model.width_list = [64, 128, 256, 512]
        return model

    monkeypatch.setitem(yolov5_tree.BLOCKS, 'resnet18', resnet)
    layers = {**PATCHED, 'backbone': [[-1, 1, 'resnet18', []], *PATCHED['backbone'][1:]]}
    kept = {}

    def own_eps(model):
        for module in model.model[0].modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = 1e-5
        kept['network'] = model.model[0]

    yolov5_checkpoint(tmp_path / 'best.pt', layers, change=own_eps)
    detector = load_yolov5(tmp_path / 'best.pt').detector
    assert detector.config.backbone == 'resnet18'
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert_same(detector.backbone(x), kept['network'].eval()(x)[1:], atol=1e-5)


def test_a_layer_list_that_asks_for_far_more_than_is_stored(tmp_path):
    def huge(model):
        rows = [*SMALL['backbone'][:-1], [-1, 500, 'C3', [16000]], SMALL['backbone'][-1]]
        model.yaml = {**SMALL, 'backbone': rows, 'width_multiple': 4.0}

    yolov5_checkpoint(tmp_path / 'best.pt', SMALL, change=huge)
    with pytest.raises(ValueError, match=r'row 9 \(C3, .* makes [0-9]+ parameters'):
        load_yolov5(tmp_path / 'best.pt')


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'backbone': []}, 'no rows'),
        ({'backbone': [3]}, 'no rows'),
        ({'backbone': [['-1', 1, 'Conv', [64, 6, 2, 2]], *SMALL['backbone'][1:]]}, 'from must be the number'),
        ({'head': SMALL['head'][:3]}, 'the last row must be Detect'),
        ({'head': [*SMALL['head'][:2], SMALL['head'][-1]]}, 'which gives no map'),
    ],
)
def test_a_bad_layer_list_is_told(tmp_path, change, words):
    def damaged(model):
        model.yaml = {**SMALL, **change}

    yolov5_checkpoint(tmp_path / 'best.pt', SMALL, change=damaged)
    with pytest.raises(ValueError, match=f'best.pt: .*{words}'):
        load_yolov5(tmp_path / 'best.pt')


def test_tensors_of_no_row(tmp_path):
    def longer(model):
        model.yaml = {**SMALL, 'head': [*SMALL['head'][:-3], [[17, 20, 20], 1, 'Detect', ['nc', 'anchors']]]}

    yolov5_checkpoint(tmp_path / 'best.pt', SMALL, change=longer)
    with pytest.raises(ValueError, match='best.pt: '):
        load_yolov5(tmp_path / 'best.pt')


def test_whoever_takes_a_checkpoint_for_a_detector_is_told(tmp_path):
    yolov5_checkpoint(tmp_path / 'best.pt', SMALL)
    for load in (mbv3zoo.create_detector, mbv3zoo.Detector.from_pretrained):
        with pytest.raises(ValueError, match='converted first: mbv3zoo convert .*best.pt FOLDER'):
            load(str(tmp_path / 'best.pt'))


@pytest.mark.parametrize('value', [-1e-3, 'a', 10**400, float('nan'), (1, 2)])
def test_a_batch_norm_of_nonsense(tmp_path, value):
    def change(model):
        next(m for m in model.modules() if isinstance(m, nn.BatchNorm2d)).eps = value

    yolov5_checkpoint(tmp_path / 'best.pt', SMALL, change=change)
    with pytest.raises(ValueError, match='best.pt: the BatchNorm model.0.bn has eps='):
        load_yolov5(tmp_path / 'best.pt')


def test_texts_from_the_file_stay_short_and_on_one_line(tmp_path):
    options = {'imgsz': 640, 'data': 'a\n---\nlicense: mit\n' + 'x' * 10**5}
    yolov5_checkpoint(tmp_path / 'best.pt', SMALL, opt=options, names=['cat', 'd' * 10**5])
    config = load_yolov5(tmp_path / 'best.pt').detector.config
    assert config.licenses.data[0].source.isprintable() and len(config.licenses.data[0].source) <= 200
    assert len(config.class_names[1]) == 200

    def huge(model):
        model.yaml = {**SMALL, 'backbone': [[-1, 1, 'A' * 10**6, []]]}

    yolov5_checkpoint(tmp_path / 'huge.pt', SMALL, change=huge)
    with pytest.raises(ValueError, match='a text of 1000000 characters') as caught:
        load_yolov5(tmp_path / 'huge.pt')
    assert len(str(caught.value)) < 1500


def test_a_licence_that_is_none(tmp_path):
    yolov5_checkpoint(tmp_path / 'best.pt', SMALL)
    with pytest.raises(ValueError, match='best.pt: .*licenses.imported.license.*given'):
        load_yolov5(tmp_path / 'best.pt', license='§')


def test_weights_that_exist_have_a_licence(tmp_path):
    yolov5_checkpoint(tmp_path / 'best.pt', SMALL)
    with pytest.raises(ValueError, match="would say that there are no imported weights; .* 'unknown'"):
        convert_checkpoint(tmp_path / 'best.pt', tmp_path / 'out', license='None')
    assert not (tmp_path / 'out').exists()


def test_a_checkpoint_in_a_folder_is_not_taken_for_a_repository(tmp_path, monkeypatch):
    (tmp_path / 'weights').mkdir()
    yolov5_checkpoint(tmp_path / 'weights' / 'best.pt', SMALL)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match='converted first: mbv3zoo convert weights/best.pt FOLDER'):
        mbv3zoo.Detector.from_pretrained('weights/best.pt')
