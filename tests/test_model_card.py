import math

import pytest
from huggingface_hub import ModelCard

from mbv3zoo.config import DetectorConfig
from mbv3zoo.evaluation import Metrics
from mbv3zoo.model_card import render_card

CONFIG = DetectorConfig(backbone='mbv3_yolo_small', class_names=['cat', 'dog'], image_size=(64, 96))
METRICS = Metrics(0.61234, 0.8, math.nan, 0.1, 0.2, 0.3, {'cat': 0.6, 'dog': math.nan}, 5, 9)


def test_the_hub_reads_it():
    data = ModelCard(render_card(CONFIG, 1_234_567)).data
    assert data.license == 'apache-2.0' and data.library_name == 'mbv3zoo'
    assert data.pipeline_tag == 'object-detection' and 'mbv3zoo' in data.tags and not data.eval_results
    assert ModelCard(render_card(CONFIG, 1, license='cc-by-4.0')).data.license == 'cc-by-4.0'


def test_it_says_what_the_detector_is():
    text = render_card(CONFIG, 1_234_567)
    rows = ['`mbv3_yolo_small`', '2 classes: cat, dog.', '64 x 96 pixels', '1.23 M', 'depth 0.33, width 0.25']
    assert all(row in text for row in rows)
    assert 'data | not recorded' in text and 'AP' not in text and '# mbv3_yolo_small detector' in text


def test_name_data_and_command():
    text = render_card(CONFIG, 1, name='team/cats', dataset='my cats', command='mbv3zoo train')
    assert '# team/cats' in text and "from_pretrained('team/cats')" in text
    assert 'data | my cats' in text and '`mbv3zoo train`' in text


def test_figures():
    text = render_card(CONFIG, 1, metrics=METRICS, name='cats', dataset='my cats')
    assert '| AP | 0.612 |' in text and '| AP50 | 0.800 |' in text
    # What could not be measured is left out, not shown as nan.
    assert 'AP75' not in text and 'nan' not in text.lower()
    results = {result.metric_type: result for result in ModelCard(text).data.eval_results}
    assert {name: result.metric_value for name, result in results.items()} == {'AP': 0.6123, 'AP50': 0.8}
    assert results['AP'].dataset_name == 'my cats' and results['AP'].task_type == 'object-detection'


def test_a_set_without_objects():
    nothing = Metrics(*[math.nan] * 6, {}, 0, 0)
    assert not ModelCard(render_card(CONFIG, 1, metrics=nothing)).data.eval_results


@pytest.mark.parametrize('number', [1, 30, 31, 80])
def test_many_classes_are_cut_short(number):
    names = [f'class-{i}' for i in range(number)]
    text = render_card(DetectorConfig(backbone='resnet18', class_names=names), 1)
    assert f'{number} classes' in text
    assert ('class-29, ...' in text) == (number > 30) and 'class-30' not in text


def test_names_are_not_taken_for_a_template():
    names = ['{{ config }}', '{% if %}', 'größe', '中文', 'a: b']
    text = render_card(DetectorConfig(backbone='resnet18', class_names=names), 1, name='{{ 1 + 1 }}', dataset='a: [b')
    assert all(name in text for name in names) and '# {{ 1 + 1 }}' in text
    assert ModelCard(text).data.library_name == 'mbv3zoo'
