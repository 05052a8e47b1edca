from program import run


def test_list_and_info():
    assert 'mbv3_yolo_small' in run('list').output.split()
    assert 'mbv3_yolo_small.lamb_in1k' in run('list', 'mbv3*', '--backbones', '--pretrained').output.split()
    output = run('info', 'mbv3_yolo_small').output
    assert '[24, 48, 576]' in output and '2.20 M' in output and 'GFLOPs' in output
