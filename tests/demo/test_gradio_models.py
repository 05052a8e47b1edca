from concurrent.futures import ThreadPoolExecutor

import pytest

import mbv3zoo
from mbv3zoo.demo import gradio_models
from mbv3zoo.demo.gradio_models import Models
from mbv3zoo.demo.model_info import shown_name

MODEL = 'mbv3_yolo_small.synth'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return mbv3zoo.load(MODEL).save_pretrained(tmp_path_factory.mktemp('runs') / 'pets' / 'best')


def test_a_path_is_known_by_its_last_part_only(folder):
    models = Models(folder)
    assert models.names[0] == models.own == shown_name(folder) == 'pets'
    assert models.open('pets').fused and MODEL in models.names and models.class_names('pets')[0] == 'arrow'
    with pytest.raises(ValueError, match='there is no detector called'):
        models.open(str(folder))


def test_a_detector_is_loaded_once_and_the_oldest_is_let_go(monkeypatch):
    fetched = []

    def fetch(name):
        fetched.append(name)
        return object()

    monkeypatch.setattr(gradio_models, '_fetch', fetch)
    models = Models(MODEL)
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(models.open, ['me/a'] * 8))) == 1
    for name in ('me/b', 'me/c', 'me/d', 'me/a', 'me/e'):
        models.open(name)
    assert fetched == ['me/a', 'me/b', 'me/c', 'me/d', 'me/e']
    models.open('me/a'), models.open('me/b')
    assert fetched[5:] == ['me/b']


def test_an_error_is_told_to_everyone_and_forgotten():
    models = Models(MODEL)
    for _ in range(2):
        with pytest.raises(ValueError, match="there is no detector called 'x'"):
            models.open('x')
