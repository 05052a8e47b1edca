import math

import pytest

from mbv3zoo.export.certificate import TOLERANCES, ApParity, Certificate, MiouParity, PictureParity, read_certificate
from mbv3zoo.runtimes.export_info import ExportInfo

INFO = ExportInfo(
    library_version='0', backbone='b', class_names=('a',), in_chans=3, image_size=32, strides=(8,), anchors=(((8, 8),),)
)
GOOD = {
    'size': (480, 480), 'letterbox': 0, 'logits_max': 1e-4, 'logits_mean': 1e-5, 'logits_relative': 1e-6,
    'boxes_max': 0.01, 'boxes_compared': 10, 'kept': 100, 'kept_apart': 0, 'kept_boxes_max': 0.0,
    'kept_scores_max': 0.0,
}  # fmt: skip


def certificate(precision='float32', ap=None, **parity):
    return Certificate(
        info=INFO, format='onnx', runtime='onnxruntime', versions={}, tolerance=TOLERANCES[precision],
        pictures=(PictureParity(**GOOD | parity),), ap=ap,
    )  # fmt: skip


def ap(before, after):
    return ApParity(data='d', split='val', images=5, ap=before, ap50=0.8, ap_exported=after, ap50_exported=0.8)


@pytest.mark.parametrize(
    ('parity', 'said'),
    [
        ({'letterbox': 2}, 'letterboxed pixels differ by 2 on a picture of 480 x 480, allowed are 1'),
        ({'logits_relative': 2e-4}, 'logits differ'),
        ({'boxes_max': 0.2}, 'boxes differ, in pixels, by 0.2'),
        ({'kept_apart': 3}, 'kept detections differ in a share of 0.03'),
    ],
)
def test_each_stage_can_fail(parity, said):
    (failure,) = certificate(**parity).failures()
    assert said in failure


@pytest.mark.parametrize('parity', [{}, {'letterbox': 1}, {'kept_apart': 2}, {'kept': 2, 'kept_apart': 1}])
def test_what_passes(parity):
    assert certificate(**parity).failures() == []


def test_graphs_that_suppress_have_no_logits():
    assert certificate(logits_max=None, logits_mean=None, logits_relative=None, boxes_max=None).failures() == []


def test_int8_has_most_of_the_best_boxes_or_its_ap_is_known():
    assert certificate('int8', best=100, best_again=70).failures() == []
    (failure,) = certificate('int8', best=100, best_again=69).failures()
    assert failure == 'of the 100 best boxes 69 are found again on a picture of 480 x 480, at least 70 are expected'
    assert certificate('int8', ap(0.5, 0.5), best=100, best_again=0).failures() == []
    assert '69 of the 100 best found again' in certificate('int8', best=100, best_again=69).summary()
    assert certificate(best=100, best_again=0).failures() == []


def test_blind_ones_are_told():
    nothing = {'boxes_compared': 0, 'boxes_max': None, 'kept': 1, 'kept_apart': 1}
    assert certificate(**nothing).is_blind() and certificate(**nothing).failures() == []
    for something in ({'boxes_compared': 1}, {'kept_compared': 1}):
        assert not certificate(**nothing | something).is_blind()
    # On another system than its runtime's nothing is compared, which it says.
    assert not certificate(**nothing).model_copy(update={'compared': False}).is_blind()


def test_a_lower_threshold_is_told():
    inside = INFO.model_copy(update={'outputs': 'detections', 'score_thresh': 0.25})
    lower, own = (certificate(score_thresh=x).model_copy(update={'info': inside}).summary() for x in (0.0123, 0.25))
    assert (
        '0 of them apart above 0.012 and without suppression, as none is above 0.25' in lower and 'as none' not in own
    )


def test_ap():
    assert certificate('int8', ap(0.5, 0.4901)).failures() == []
    assert certificate('int8', ap(0.5, 0.6)).failures() == []
    assert 'AP falls from 0.5000 to 0.4800' in certificate('int8', ap(0.5, 0.48)).failures()[0]
    # What cannot be computed does not pass.
    nan = ApParity.model_construct(data='d', split='val', images=0, ap=math.nan, ap50=0, ap_exported=0, ap50_exported=0)
    assert certificate().model_copy(update={'ap': nan}).failures()


def test_labels_of_a_segmenter_and_its_miou():
    parity = {'boxes_max': None, 'boxes_compared': 0, 'labels_compared': 1000, 'labels_apart': 0.003}
    assert certificate('float16', **parity).failures() == [] and not certificate(**parity).is_blind()
    (failure,) = certificate(**parity).failures()
    assert failure == 'labels differ in a share of 0.003 on a picture of 480 x 480, allowed are 0.002'
    assert certificate(**parity | {'labels_compared': 0}).is_blind()
    # Where mIoU is known, it decides.
    for after, said in ((0.495, []), (0.48, ['mIoU falls from 0.5000 to 0.4800, allowed are 0.01'])):
        miou = MiouParity(data='d', split='val', images=5, miou=0.5, miou_exported=after)
        measured = certificate('int8', **parity | {'labels_apart': 0.2}).model_copy(update={'miou': miou})
        assert measured.failures() == said and f'mIoU 0.5000 -> {after:.4f} on 5 pictures' in measured.summary()


def test_reading(tmp_path):
    with pytest.raises(ValueError, match='no certificate m.onnx.json'):
        read_certificate(tmp_path / 'm.onnx')
    written = certificate(ap=ap(0.5, 0.5))
    (tmp_path / 'm.onnx.json').write_text(written.model_dump_json())
    assert read_certificate(tmp_path / 'm.onnx') == written
    (tmp_path / 'm.onnx.json').write_text('{')
    with pytest.raises(ValueError, match='not JSON'):
        read_certificate(tmp_path / 'm.onnx')
