from exported_files import SCENE, needs

import mbv3zoo


def test_a_grey_light_detector_goes_through_onnx(tmp_path):
    needs('onnx')
    detector = mbv3zoo.create_detector('mbv3_yolo_small_light', num_classes=3, image_size=64, in_chans=1).eval()
    path = detector.export(tmp_path / 'a.onnx')
    assert mbv3zoo.load(path).info.in_chans == 1 and len(mbv3zoo.load(path).predict(SCENE, score_thresh=0)) > 0


def test_means_over_a_map_are_global_pools_and_the_record_is_in_the_metadata(exported):
    path = exported('onnx')
    import onnx

    model = onnx.load(path)
    kinds = [node.op_type for node in model.graph.node]
    # One for each of the nine squeeze-excites.
    assert kinds.count('GlobalAveragePool') == 9 and 'ReduceMean' not in kinds
    assert [entry.key for entry in model.metadata_props] == ['mbv3zoo']
    assert [output.name for output in model.graph.output] == ['map8', 'map16', 'map32']
