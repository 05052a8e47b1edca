import pytest
from exported_files import needs

import mbv3zoo
from mbv3zoo.export.certificate import read_certificate


def test_core_ml_is_written_and_says_that_it_was_not_compared(tmp_path):
    needs('coreml')
    import coremltools

    detector = mbv3zoo.Detector.from_pretrained('mbv3_yolo_small.synth')
    path = detector.export(tmp_path / 'model.mlpackage', image_size=64)
    spec = coremltools.models.MLModel(str(path), skip_model_load=True).get_spec()
    assert [port.name for port in spec.description.input] == ['images']
    assert [port.name for port in spec.description.output] == ['map8', 'map16', 'map32']
    assert 'crescent' in spec.description.metadata.userDefined['mbv3zoo']
    certificate = read_certificate(path)
    if not certificate.compared:
        assert 'not compared' in certificate.summary()
        with pytest.raises(NotImplementedError, match='macOS'):
            mbv3zoo.load(path)
