import pytest
import torch

import mbv3zoo

transformers = pytest.importorskip('transformers')
NAME = 'mbv3_yolo_small.synth'


@pytest.fixture(scope='module')
def model():
    return transformers.AutoModelForObjectDetection.from_pretrained(NAME)


def test_a_model_is_the_detector(model):
    detector = mbv3zoo.load(NAME)
    images = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        expected, found = detector(images), model(pixel_values=images)
    assert all(torch.equal(a, b) for a, b in zip(expected, found.values(), strict=True))
    assert not model.training and model.detector.config == detector.config


def test_what_is_saved_is_a_detectors_folder(model, tmp_path):
    model.save_pretrained(tmp_path / 'saved')
    assert {path.name for path in (tmp_path / 'saved').iterdir()} == {
        'README.md', 'config.json', 'detector.safetensors', 'model.safetensors',
    }  # fmt: skip
    again, first = mbv3zoo.load(tmp_path / 'saved').state_dict(), model.detector.state_dict()
    assert all(torch.equal(again[name], value) for name, value in first.items())


def test_type_and_device_are_chosen_as_for_other_models():
    load = transformers.AutoModelForObjectDetection.from_pretrained
    assert load(NAME, dtype=torch.float16).dtype == torch.float16
    assert load(NAME, dtype='bfloat16', device_map='cpu').dtype == torch.bfloat16
    assert load(NAME, dtype='auto', device_map={'': 'meta'}).device.type == 'meta'


def test_an_option_of_other_models_is_refused():
    with pytest.raises(TypeError, match='loaded without quantization_config; leave it out'):
        transformers.AutoModelForObjectDetection.from_pretrained(NAME, quantization_config={'bits': 4})


def test_a_new_model_is_built_from_a_config():
    config = transformers.AutoConfig.from_pretrained(NAME)
    model = transformers.AutoModelForObjectDetection.from_config(config)
    assert model.detector.config.class_names == tuple(config.id2label.values())
