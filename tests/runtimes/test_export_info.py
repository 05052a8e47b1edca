import json

import pytest

from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.runtimes.export_info import ExportInfo, read_info

CONFIG = DetectorConfig(backbone='resnet18', class_names=('a', 'b'), image_size=(64, 96))


def info(**settings):
    return ExportInfo.of(CONFIG, (8, 16, 32), '0', **settings)


def test_a_record_has_what_the_detector_is_and_what_the_export_chose():
    found = info(batch_size=2, precision='int8')
    assert (found.backbone, found.class_names, found.image_size) == ('resnet18', ('a', 'b'), (64, 96))
    assert found.anchors == CONFIG.anchors and found.strides == (8, 16, 32) and found.in_chans == 3
    assert (found.batch_size, found.precision, found.input_dtype, found.outputs) == (2, 'int8', 'uint8', 'maps')
    with pytest.raises(ValueError, match='2 strides need as many lists of anchors, given 3'):
        ExportInfo.of(CONFIG, (8, 16), '0')


def test_sides_are_multiples_of_the_largest_stride_and_of_32():
    assert info().unit == 32
    wide = info().model_copy(update={'strides': (16, 32, 64)})
    assert wide.unit == 64
    info().check_sides((32, 96))
    for record, size in ((info(), (32, 100)), (info(), (0, 32)), (wide, (64, 96))):
        with pytest.raises(ValueError, match=f'image_size must be multiples of {record.unit}, given'):
            record.check_sides(size)


def test_a_record_is_read_from_the_file_or_from_the_certificate_beside_it(tmp_path):
    path, beside = tmp_path / 'm.ncnn.param', tmp_path / 'm.ncnn.param.json'
    assert read_info(path, info().model_dump_json()) == info()
    assert read_info(path, None) is None
    beside.write_text(json.dumps({'info': info(batch_size=3).model_dump(mode='json')}))
    assert read_info(path, None) == info(batch_size=3)
    # What is inside the file counts first.
    assert read_info(path, info().model_dump_json()) == info()


def test_names_of_any_script_and_a_byte_order_mark_are_read(tmp_path):
    names = ('می\u200cخواهم', '\U0001f469\u200d\U0001f680', 'a\u00a0b', 'no')
    found = info().model_copy(update={'class_names': names})
    assert read_info(tmp_path / 'm.onnx', found.model_dump_json()).class_names == names
    beside = tmp_path / 'm.onnx.json'
    beside.write_text(json.dumps({'info': found.model_dump(mode='json')}, ensure_ascii=False), encoding='utf-8-sig')
    assert read_info(tmp_path / 'm.onnx', None).class_names == names


def test_other_programs_have_no_record_and_damage_is_told(tmp_path):
    path, beside = tmp_path / 'm.onnx', tmp_path / 'm.onnx.json'
    for text in ('{}', '[]', 'null'):
        beside.write_text(text)
        assert read_info(path, None) is None
    beside.write_text('{')
    with pytest.raises(ValueError, match='m.onnx.json: expected the certificate of an exported detector'):
        read_info(path, None)
    for damaged in ('{', '[' * 3000):
        with pytest.raises(ValueError, match='m.onnx: its metadata is not JSON'):
            read_info(path, damaged)
