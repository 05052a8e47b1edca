"""Every source answers the same questions."""

from mbv3zoo.zoo.resolve import resolve


def test_a_new_detector_gets_its_backbones_record_and_a_saved_one_keeps_its_own():
    saved, new = resolve('mbv3_yolo_small.synth'), resolve('mbv3_yolo_small')
    config = saved.read_config()
    assert saved.licenses(config, True, {}) == config.licenses != saved.licenses(config, False, {})
    record = new.licenses(new.read_config(), True, {'checkpoint_path': 'mine.pt'})
    assert record.backbone.source == 'mine.pt' and record.data == ()
    assert new.licenses(config, False, {}).backbone.license == 'none'
