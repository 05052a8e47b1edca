import json
import math
from dataclasses import replace

import pytest
from hub_server import HubServer, run_client
from huggingface_hub import ModelCard, metadata_load
from huggingface_hub.repocard_data import model_index_to_eval_results

from mbv3zoo.cards.merge import BEGIN, END, merge_card
from mbv3zoo.cards.render import render_card
from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.config.license_record import LicensedPart, LicenseRecord
from mbv3zoo.config.segmenter import SegmenterConfig
from mbv3zoo.config.training import TrainConfig
from mbv3zoo.evaluation.metrics import Metrics
from mbv3zoo.licenses import fresh_record, trained_on

SCRATCH = LicenseRecord(backbone='none', imported='none')
CONFIG = DetectorConfig(backbone='mbv3_yolo_small', class_names=['cat', 'dog'], image_size=(64, 96), licenses=SCRATCH)
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


def test_settings_of_the_other_task_are_left_out():
    train = TrainConfig(box_gain=3, anchor_ratio=5, dice_gain=0.5, epochs=7)
    text = render_card(SegmenterConfig(backbone='mbv3_yolo_small', num_classes=2, licenses=SCRATCH), 1, train=train)
    assert '| epochs | 7 |' in text and '| dice_gain | 0.5 |' in text
    assert not any(f'| {name} |' in text for name in ('loss', 'box_gain', 'anchor_ratio'))
    text = render_card(CONFIG, 1, train=train)
    assert '| loss | simota |' in text and '| box_gain | 3' in text and 'dice_gain' not in text


def test_figures():
    text = render_card(CONFIG, 1, metrics=METRICS, name='cats', dataset='my cats')
    assert '| AP | 0.612 |' in text and '| AP50 | 0.800 |' in text
    # What could not be measured is left out, not shown as nan.
    assert 'AP75' not in text and 'nan' not in text.lower()
    results = {result.metric_name: result for result in ModelCard(text).data.eval_results}
    figures = {'AP': 0.61234, 'AP50': 0.8, 'AP small': 0.1, 'AP medium': 0.2, 'AP large': 0.3}
    assert {name: result.metric_value for name, result in results.items()} == figures
    assert results['AP'].metric_type == 'mAP' and len({result.metric_type for result in results.values()}) == 5
    assert results['AP'].dataset_name == 'my cats' and results['AP'].task_type == 'object-detection'
    # Not a data set of the Hub's, so there must be no link to one.
    assert results['AP'].dataset_type == 'my-cats' and ModelCard(text).data.datasets is None


def test_figures_on_a_data_set_of_the_hub(tmp_path):
    path = tmp_path / 'README.md'
    path.write_text(render_card(CONFIG, 1, metrics=METRICS, name='me/det', dataset='me/cats', split='test'))
    metadata = metadata_load(path)
    assert metadata['datasets'] == ['me/cats'] and metadata['model-index'][0]['name'] == 'me/det'
    name, results = model_index_to_eval_results(metadata['model-index'])
    assert name == 'me/det' and {result.dataset_type for result in results} == {'me/cats'}
    assert {result.dataset_split for result in results} == {'test'}
    assert 'on me/cats, split test' in path.read_text()


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


def test_the_metadata_names_what_the_weights_were_made_from():
    licenses = trained_on(fresh_record('mbv3_yolo_small', pretrained=True), 'team/coco', 'cc-by-4.0')
    config = CONFIG.model_copy(update={'licenses': licenses})
    text = render_card(config, 1, dataset='team/cats')
    data = ModelCard(text).data
    assert data.base_model == ['timm/mobilenetv3_small_100.lamb_in1k'] and data.license == 'apache-2.0'
    assert data.datasets == ['team/coco', 'team/cats']
    assert '| backbone weights | apache-2.0 | timm/mobilenetv3_small_100.lamb_in1k |' in text
    assert '| data | cc-by-4.0 | team/coco |' in text and '| imported weights | none |' in text
    # From scratch, or from elsewhere than the Hub.
    assert ModelCard(render_card(CONFIG, 1)).data.base_model is None
    elsewhere = LicenseRecord(backbone=LicensedPart(license='mit', source='https://a.example/b.pth'))
    data = ModelCard(render_card(CONFIG.model_copy(update={'licenses': elsewhere}), 1, dataset='a/b/c')).data
    assert data.base_model is None and data.datasets is None


@pytest.mark.parametrize(
    ('licenses', 'license', 'name'),
    [
        ({'backbone': 'cc-by-nc-4.0', 'imported': 'none'}, 'cc-by-nc-4.0', None),
        ({'backbone': 'none', 'imported': 'agpl-3.0'}, 'agpl-3.0', None),
        ({'backbone': 'dinov3-license', 'imported': 'none'}, 'other', 'dinov3-license'),
        ({}, 'unknown', None),
    ],
)
def test_the_licence_follows_from_the_record(licenses, license, name):
    config = DetectorConfig(backbone='resnet18', num_classes=1, licenses=licenses)
    text = render_card(config, 1)
    data = ModelCard(text).data
    assert data.license == license and data.license_name == name
    assert f'The weights as a whole: {name or license}.' in text
    assert ('Ask whoever made them' in text) == (license == 'unknown')
    assert ModelCard(render_card(config, 1, license='mit')).data.license == 'mit'


def test_both_ways_to_load_it():
    text = render_card(CONFIG, 1, name='team/cats')
    assert "mbv3zoo.Detector.from_pretrained('team/cats')" in text
    assert "timm.create_model('hf-hub:team/cats', features_only=True, pretrained=True)" in text
    other = render_card(CONFIG, 1, name='team/cats', stock=False)
    assert 'hf-hub:' not in other and 'timm itself has no backbone of this architecture' in other
    # A name that is none on the Hub is no example.
    assert "from_pretrained('organisation/name')" in render_card(CONFIG, 1, name='My cats!')
    assert "'hf-hub:organisation/name'" in render_card(CONFIG, 1, name='cats')


def test_picture():
    assert '![predictions](predictions.png)' in render_card(CONFIG, 1, picture=True)
    assert '![' not in render_card(CONFIG, 1)


def test_training():
    text = render_card(CONFIG, 1, train=TrainConfig(epochs=3, flip=0.25, workers=7, augmentation='heavy'))
    assert '| epochs | 3 |' in text and '| flip | 0.25 |' in text and '| optimizer | nmuon |' in text
    # Neither what the preset's name says already, nor what only makes it faster.
    assert 'mosaic |' not in text and 'workers' not in text
    assert '## Training' not in render_card(CONFIG, 1)


def test_limits():
    text = render_card(CONFIG, 1, metrics=METRICS, dataset='cats')
    assert '64 x 96' in text and 'its 2 classes only' in text
    assert 'measured on cats only (5 pictures, 9 objects)' in text and 'no such objects: dog.' in text
    assert 'not evaluated' in render_card(CONFIG, 1)
    metrics = replace(METRICS, ap_large=math.nan, per_class={'cat': 0.6, 'dog': 0.25})
    text = render_card(CONFIG, 1, metrics=metrics)
    assert 'there were none: large objects.' in text and 'weakest class is dog, with an AP of 0.25' in text
    assert 'no such objects' not in text


def test_the_librarys_part_is_marked_whatever_the_names():
    config = CONFIG.model_copy(update={'class_names': (f'a{END}b', f'{BEGIN}|\nx')})
    text = render_card(config, 1, metrics=METRICS, name=f'{END}', dataset=f'{BEGIN}| x', split=END, command=END)
    body = ModelCard(text).text.strip()
    assert body.count(BEGIN) == body.count(END) == 1 and body.startswith(BEGIN) and body.endswith(END)
    # So that a person's text around it survives the next push.
    old = text.replace(body, f'mine\n\n{body}')
    assert merge_card(old, text) == old


def test_tables_hold_together():
    text = render_card(CONFIG, 1, dataset='a|b\nc', train=TrainConfig(optimizer='sgd'))
    assert '| data | a\\|b c |' in text


def test_the_hub_accepts_it(tmp_path):
    licenses = trained_on(fresh_record('mbv3_yolo_small', pretrained=True), 'me/cats', 'cc-by-4.0')
    config = CONFIG.model_copy(update={'licenses': licenses})
    odd = CONFIG.model_copy(update={'class_names': (': {', '- [')})
    cards = [
        render_card(config, 1, metrics=METRICS, name='me/det', dataset='me/cats', train=TrainConfig(), picture=True),
        render_card(odd, 1, metrics=METRICS, name=': "x', dataset='a: [b', split='- {'),
        render_card(DetectorConfig(backbone='resnet18', num_classes=1, licenses={'backbone': 'their-own'}), 1),
    ]
    (tmp_path / 'cards.json').write_text(json.dumps(cards))
    with HubServer() as server:
        run_client(
            server,
            """
            import json
            from huggingface_hub import ModelCard

            for card in json.load(open('cards.json')):
                ModelCard(card).validate()
            """,
            tmp_path,
        )
