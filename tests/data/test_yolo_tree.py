from mbv3zoo.data.yolo_tree import read_data_yaml


def test_a_data_yaml_is_read_without_its_images(tmp_path):
    (tmp_path / 'data.yaml').write_text('train: a\nval: [b, c]\ntest:\nnames: [x]\nkpt_shape: [2, 3]\nlicense: mine\n')
    tree = read_data_yaml(tmp_path / 'data.yaml')
    assert tree.known == ('train', 'val') and tree.sources('train') == ['a'] and tree.sources('val') == ['b', 'c']
    assert tree.class_names == ('x',) and tree.keypoints == (2, 3) and tree.root == tmp_path
