import shutil

import pytest
from labelling_tools import ONE_SPLIT, PICTURES, cvat_yolo, label_studio_coco, label_studio_yolo, roboflow_yolo
from PIL import Image
from program import run as run_program
from tiny_sets import write_yolo_set

import mbv3zoo
from mbv3zoo.config.training import DataConfig
from mbv3zoo.data.load import load_split
from mbv3zoo.training.run_data import VAL_LIST, load_data, validation_list, write_val_list


def names(data):
    return [record.path.name for record in data.records]


@pytest.mark.parametrize('write', [label_studio_yolo, label_studio_coco, cvat_yolo])
def test_one_split_is_divided_where_it_is_asked_for_and_offered_where_not(tmp_path, write):
    write(tmp_path)
    with pytest.raises(ValueError, match=r"(one split|only 'train').*--val-data, (or )?keep a part .*--val-share 0\.2"):
        load_data(DataConfig(data=str(tmp_path)))
    parts = load_data(DataConfig(data=str(tmp_path), val_share=0.4))
    assert [len(part) for part in parts] == [3, 2]
    assert not set(names(parts[0])) & set(names(parts[1]))
    assert names(load_data(DataConfig(data=str(tmp_path), val_share=0.4))[1]) == names(parts[1])
    seeds = [names(load_data(DataConfig(data=str(tmp_path), val_share=0.4), seed)[1]) for seed in range(8)]
    assert len(set(map(tuple, seeds))) > 1


def test_the_exports_of_one_split_are_all_divided(tmp_path):
    for name, (write, (source, *_)) in ONE_SPLIT.items():
        write(tmp_path / name)
        train_set, val_set = load_data(DataConfig(data=str(tmp_path / name / source), val_share=0.2))
        assert len(train_set) + len(val_set) == len(PICTURES) and train_set.class_names == val_set.class_names


def test_a_data_yaml_that_names_a_split_which_is_not_there_is_divided_too(tmp_path):
    roboflow_yolo(tmp_path)
    with pytest.raises(ValueError, match='--val-share is for data of one split, and this has a validation split'):
        load_data(DataConfig(data=str(tmp_path), val_share=0.4))
    shutil.rmtree(tmp_path / 'valid')
    with pytest.raises(ValueError, match=r"no split to validate on, only 'train'; .*--val-share 0\.2"):
        load_data(DataConfig(data=str(tmp_path)))
    assert [len(part) for part in load_data(DataConfig(data=str(tmp_path), val_share=0.4))] == [2, 1]


@pytest.mark.parametrize('share', [0, 1, 1.5, -1, 'x'])
def test_a_share_that_is_none_is_refused_before_anything_is_read(share):
    with pytest.raises(ValueError, match='val_share'):
        DataConfig.parse({'data': 'nowhere', 'val_share': share})


def test_a_share_and_validation_data_exclude_each_other():
    with pytest.raises(ValueError, match='val_share takes the validation images from data; leave val_data'):
        DataConfig.parse({'data': 'a', 'val_data': 'b', 'val_share': 0.2})


@pytest.mark.parametrize('write', [label_studio_yolo, label_studio_coco])
def test_a_run_that_goes_on_keeps_its_validation_images(tmp_path, write):
    root, run = tmp_path / 'set', tmp_path / 'run'
    write(root)
    run.mkdir()
    config = DataConfig(data=str(root), val_share=0.4)
    _, val_set = load_data(config)
    write_val_list(config, val_set, run)
    # Another seed or other pictures change nothing.
    Image.new('RGB', (64, 64)).save(root / 'images/0-new.png')
    train_set, kept = load_data(config, 7, run)
    assert names(kept) == names(val_set)
    assert ('0-new.png' in names(train_set)) == (write is label_studio_yolo)
    for split in (str(run / VAL_LIST), run / VAL_LIST):
        assert names(load_split(root, split)) == names(val_set)
    moved = root.rename(tmp_path / 'moved')
    config = DataConfig(data=str(moved), val_share=0.4)
    assert names(load_data(config, 0, run)[1]) == names(val_set)
    (moved / 'images' / names(val_set)[0]).unlink()
    with pytest.raises(ValueError, match=r'val\.txt: 1 of its 2 pictures are not in .*; put them back'):
        load_data(config, 0, run)
    (run / VAL_LIST).unlink()
    with pytest.raises(ValueError, match=r'val\.txt is missing'):
        load_data(config, 0, run)


def test_the_list_of_a_run_is_found_from_its_detectors_for_its_own_data_only(tmp_path):
    run = tmp_path / 'runs/train-1'
    (run / 'best').mkdir(parents=True)
    (run / VAL_LIST).write_text('a.png\n')
    (run / 'run.yaml').write_text(f'data:\n  data: {tmp_path / "set"}\n  val_share: 0.2\n')
    (tmp_path / 'set').mkdir()
    for model in (run, run / 'best', run / 'best/model.onnx'):
        for data in ('set', 'set/data.yaml', 'set/result.json'):
            assert validation_list(model, tmp_path / data) == str(run / VAL_LIST)
        for data in ('other', 'set/annotations/val.json'):
            assert validation_list(model, tmp_path / data) is None
    (run / 'run.yaml').write_text(f'data:\n  data: {tmp_path / "set/train.json"}\n  val_share: 0.2\n')
    assert validation_list(run, tmp_path / 'set/train.json') and not validation_list(run, tmp_path / 'set/val.json')
    assert validation_list('mbv3_yolo_small', tmp_path / 'set') is None


def test_a_run_writes_its_share_and_its_validation_images_and_val_evaluates_them(tmp_path, monkeypatch):
    write_yolo_set(tmp_path / 'bolts', {'train': 8}, (48, 48))
    monkeypatch.chdir(tmp_path / 'bolts')
    options = {'image_size': 32, 'epochs': 1, 'batch_size': 2, 'workers': 0, 'augmentation': 'none'}
    result = mbv3zoo.train('data.yaml', val_share=0.25, out='../run', **options)
    assert 'val_share: 0.25' in (tmp_path / 'run/run.yaml').read_text()
    listed = (tmp_path / 'run/val.txt').read_text().split()
    assert len(listed) == result.metrics.images == 2
    data = mbv3zoo.load_dataset('.', 'train')
    assert sorted(names(mbv3zoo.split_dataset(data, 0.25)[1])) == sorted(name.rpartition('/')[2] for name in listed)
    assert mbv3zoo.evaluate(result.detector, 'data.yaml', split='../run/val.txt').ap == pytest.approx(result.metrics.ap)
    told = run_program('val', '../run/best', '--data', '.', '--out', '../report', '--workers', 0).output
    assert f'kept for validation: {tmp_path / "run/val.txt"}' in told and '2 pictures' in told
    # The card names the folder.
    assert 'on bolts, split val' in (tmp_path / 'run/best/README.md').read_text()
