"""`mbv3zoo.fit`, from a trained model to a fitted one; times follow from the size of graphs."""

import json
from types import SimpleNamespace

import pytest
import torch
from fake_times import network_time, use_fake_times, use_small_fits
from hub_server import HubServer, run_client

import mbv3zoo
from mbv3zoo.fitting import fitter as fitter_module
from mbv3zoo.fitting import stages
from mbv3zoo.fitting.fit import _recorded
from mbv3zoo.synth import SyntheticConfig, synthesize

pytest.importorskip('onnx')
SIDE = 96
START = 'mbv3_yolo_small.synth'


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data') / 'scenes'
    synthesize(folder, SyntheticConfig(train=16, val=4, image_size=SIDE, workers=0))
    return folder / 'data.yaml'


@pytest.fixture(autouse=True)
def fake(monkeypatch, tmp_path):
    use_small_fits(monkeypatch, tmp_path)


def fit(data, out, model=START, **settings):
    return mbv3zoo.fit(model, data, image_size=SIDE, out=out, workers=0, batch_size=8, **settings)


@pytest.fixture(scope='module')
def fitted(data, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        use_fake_times(patch)
        patch.setattr(fitter_module, '_IMAGES', 16)
        return fit(data, tmp_path_factory.mktemp('fitted') / 'out', speedup=1.5, epochs=1)


def test_the_fitted_model_is_as_fast_as_was_asked_for(fitted):
    before, record = mbv3zoo.load(START), fitted.record
    before.config = before.config.model_copy(update={'image_size': (SIDE, SIDE)})
    ratio = network_time(before) / network_time(fitted.model)
    assert 1.5 <= ratio < 1.65
    assert record.before_ms / record.measured_ms == pytest.approx(ratio, rel=0.01)
    assert record.measured_ms <= record.budget_ms == pytest.approx(record.before_ms / 1.5)
    assert record.runtime.startswith('onnxruntime ') and record.machine and record.measure == 'AP'
    assert None not in (record.quality_before, record.quality_narrowed, record.quality_after)


def test_the_folder_loads_like_any_other(fitted):
    again = mbv3zoo.load(fitted.folder)
    assert again.config == fitted.model.config and again.config.backbone == 'narrowed'
    assert again.config.image_size == (SIDE, SIDE) and again.config.fit == fitted.record
    images = torch.rand(1, 3, SIDE, SIDE)
    for first, second in zip(again(images), fitted.model(images), strict=True):
        assert torch.equal(first, second)


@pytest.mark.slow
def test_a_fitted_model_trains_on_and_resumes_like_any_other(fitted, data, tmp_path):
    trained = mbv3zoo.train(data, model=fitted.folder, epochs=1, workers=0, batch_size=8, out=tmp_path / 'run')
    assert trained.detector.config.backbone_args == fitted.model.config.backbone_args
    further = mbv3zoo.resume_training(tmp_path / 'run', epochs=2)
    assert further.detector.config.widths == fitted.model.config.widths
    assert len((tmp_path / 'run' / 'results.csv').read_text().splitlines()) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'package'), [('m.onnx', 'onnxruntime'), ('m.xml', 'openvino'), ('m.ncnn.param', 'ncnn')]
)
def test_a_fitted_detector_is_exported_with_a_certificate(name, package, fitted, tmp_path):
    pytest.importorskip(package)
    path = fitted.model.export(tmp_path / name)
    certificate = mbv3zoo.read_certificate(path)
    assert certificate.compared and certificate.pictures and not certificate.failures()
    assert certificate.info.image_size == (SIDE, SIDE)


@pytest.mark.slow
def test_a_fitted_detector_comes_back_from_the_hub(fitted, tmp_path):
    code = f"""
        import json
        import timm, torch
        import mbv3zoo
        detector, images = mbv3zoo.load({str(fitted.folder)!r}).eval(), torch.rand(1, 3, {SIDE}, {SIDE})
        detector.push_to_hub('org/fitted')
        again = mbv3zoo.load('org/fitted').eval()
        indices = again.backbone.model.feature_info.out_indices
        stock = timm.create_model('hf-hub:org/fitted', features_only=True, pretrained=True, out_indices=indices)
        pairs = [*zip(again(images), detector(images)), *zip(stock.eval()(images), detector.backbone.model(images))]
        print(json.dumps([again.config == detector.config, all(torch.equal(*pair) for pair in pairs)]))
    """
    with HubServer() as server:
        report = run_client(server, code, tmp_path)
        card = server.repos['org/fitted'].files()['README.md'].decode()
    assert json.loads(report.stdout.splitlines()[-1]) == [True, True]
    assert f'measured {fitted.record.measured_ms:.2f} ms' in card


def test_the_card_says_what_it_was_fitted_to(fitted):
    card = (fitted.folder / 'README.md').read_text(encoding='utf-8')
    (line,) = [line for line in card.splitlines() if line.startswith('| fitted to')]
    assert f'measured {fitted.record.measured_ms:.2f} ms' in line and 'onnxruntime' in line


def test_a_fit_that_is_finished_is_not_made_again(fitted, data, monkeypatch):
    monkeypatch.setattr(stages, 'train', lambda **_: pytest.fail('it was trained'))
    again = fit(data, fitted.folder, speedup=1.5, epochs=1)
    assert again.record == fitted.record


def test_another_fit_does_not_go_into_its_folder(fitted, data):
    with pytest.raises(ValueError, match=r'other settings \(speedup\); choose another folder'):
        fit(data, fitted.folder, speedup=2, epochs=1)


def test_a_fit_that_was_stopped_goes_on_in_its_training(data, tmp_path, monkeypatch):
    """Here of a model that is no file: it is saved, to be the teacher."""
    own, asked = mbv3zoo.load(START), []

    def stopped(**settings):
        asked.append(settings)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stages, 'train', stopped)
        with pytest.raises(KeyboardInterrupt):
            fit(data, tmp_path / 'out', own, speedup=1.3, epochs=1)
    teacher = mbv3zoo.load(asked[0]['teacher'])
    assert all(torch.equal(value, own.state_dict()[name]) for name, value in teacher.state_dict().items())
    before = (tmp_path / 'out' / 'fit' / 'narrowed' / 'model.safetensors').read_bytes()
    monkeypatch.setattr(fitter_module.Fitter, 'narrow', lambda *_: pytest.fail('it was made narrower before'))
    found = fit(data, tmp_path / 'out', own, speedup=1.3, epochs=1)
    assert found.record.quality_after is not None
    assert (tmp_path / 'out' / 'fit' / 'narrowed' / 'model.safetensors').read_bytes() == before


@pytest.mark.parametrize('model', ['fit/narrowed', 'fit/sizes/96x96/narrowed', '2x/fit/sizes/96x96/narrowed'])
def test_what_was_asked_for_stays_where_a_model_was_made_narrower(model, tmp_path):
    """So that the fit can go on: of one budget, of input sizes that are tried, of a family."""
    for made in (False, True):
        (tmp_path / 'fit').mkdir(exist_ok=True)
        with _recorded(tmp_path, {'speedup': 2}):
            if made:
                (tmp_path / model).mkdir(parents=True)
        assert (tmp_path / 'fit' / 'asked.json').exists() == made


def test_several_budgets_give_a_family(data, tmp_path):
    slow, fast = fit(data, tmp_path / 'out', speedup=[2, 1.2], epochs=0)
    assert [slow.folder.name, fast.folder.name] == ['1.2x', '2x']
    assert fast.record.measured_ms < slow.record.measured_ms < slow.record.before_ms
    assert slow.record.quality_after is None
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {'1.2x', '2x', 'fit', 'family.png', 'family.json'}


@pytest.mark.parametrize('epochs', [0, 1])
def test_a_smaller_input_is_taken_where_it_is_better(epochs, data, tmp_path, monkeypatch, caplog):
    # Of the sizes that are tried, the last is said to be the best.
    score = {SIDE: 0.2, SIDE - 32: 0.3}
    monkeypatch.setattr(fitter_module.Fitter, '_measure', lambda _, model: score[model.config.image_size[0]])
    monkeypatch.setattr(
        stages, '_train', lambda narrowed, run, job, usual: short_training(narrowed, run, job, usual, score)
    )
    with caplog.at_level('INFO'):
        found = fit(data, tmp_path / 'out', speedup=1.5, epochs=epochs, min_image_size=SIDE - 32)
    assert found.model.config.image_size == (SIDE - 32, SIDE - 32)
    assert 'input 96x96: AP 0.200' in caplog.text and 'input 64x64: AP 0.300' in caplog.text
    record = found.record
    # The whole model at this size is fast enough; times and quality before are those of its own size.
    assert record.measured_ms <= record.budget_ms and record.quality_before == 0.2
    assert record.before_ms / record.measured_ms >= 1.5 and not found.model.config.widths


def short_training(narrowed, run, job, usual, score):
    assert usual['anchors'] == 'keep' and job.training['epochs'] == 1
    model = mbv3zoo.load(narrowed)
    model.save_pretrained(run / 'best')
    (run / 'best' / stages.PICTURE_NAME).write_bytes(b'')
    metrics = SimpleNamespace(score=score[model.config.image_size[0]])
    return SimpleNamespace(detector=model, folder=run, metrics=metrics)


def test_a_budget_below_what_can_be_reached_is_refused(data, tmp_path):
    with pytest.raises(ValueError, match=r'0\.1 ms cannot be reached: the model takes .* and as narrow as it can be'):
        fit(data, tmp_path / 'out', ms=0.1)
    # So that the next try may have another budget.
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        ({}, 'ms or speedup'),
        ({'ms': 1, 'runtime': 'ncnn'}, "runtime is 'ncnn'; models are fitted to onnxruntime or openvino"),
        ({'ms': 1, 'precision': 'float16'}, 'precision'),
        ({'ms': 1, 'threads': 0}, 'threads'),
        ({'ms': 1, 'epochs': -1}, 'epochs'),
        ({'ms': 1, 'learning_rate': 3}, 'learning_rate'),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(settings, words, data, tmp_path):
    with pytest.raises(ValueError, match=words):
        fit(data, tmp_path / 'out', **settings)
    assert not (tmp_path / 'out').exists()


def test_a_transformer_is_refused_in_one_sentence(data, tmp_path):
    config = mbv3zoo.load(START).config
    names = {'class_names': config.class_names, 'image_size': SIDE}
    detector = mbv3zoo.create_detector('vit_tiny_patch16_224', pretrained=False, **names)
    with pytest.raises(ValueError, match='cannot be fitted: it computes native_layer_norm'):
        fit(data, tmp_path / 'out', detector, speedup=1.5)


def test_data_of_other_classes_is_refused(data, tmp_path):
    other = mbv3zoo.create_detector('mbv3_yolo_small', class_names=['cat', 'dog'], image_size=SIDE)
    with pytest.raises(ValueError, match='class'):
        fit(data, tmp_path / 'out', other, speedup=1.5)


@pytest.mark.slow
def test_a_segmenter_is_fitted_by_the_same_call(tmp_path):
    folder = tmp_path / 'scenes'
    synthesize(folder, SyntheticConfig(train=16, val=4, image_size=SIDE, workers=0, masks=True))
    found = fit(folder / 'data.yaml', tmp_path / 'out', 'mbv3_lraspp_small.synth', speedup=1.3, epochs=1)
    assert found.record.measure == 'mIoU' and found.record.quality_after is not None
    assert found.record.measured_ms < found.record.before_ms / 1.29
    assert mbv3zoo.load(found.folder).config == found.model.config


@pytest.mark.slow
def test_a_budget_of_int8_milliseconds(data, tmp_path, monkeypatch):
    pytest.importorskip('onnxscript')
    found = fit(data, tmp_path / 'out', speedup=1.3, epochs=0, precision='int8')
    assert found.record.precision == 'int8' and found.record.measured_ms < found.record.before_ms
