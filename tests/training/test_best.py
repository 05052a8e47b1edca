import pytest
import torch
from tiny_sets import CLASS_NAMES

from mbv3zoo.create import create_detector
from mbv3zoo.training.best import clear_damaged, folder_fault, weights_digest


@pytest.fixture
def folder(tmp_path):
    detector = create_detector('mbv3_yolo_small_050', class_names=CLASS_NAMES, image_size=64)
    return detector.save_pretrained(tmp_path / 'best')


def test_a_whole_folder_has_no_fault_and_one_digest(folder):
    assert folder_fault(folder) == ''
    (folder / 'README.md').write_text('mine')
    detector = create_detector('mbv3_yolo_small_050', class_names=CLASS_NAMES, image_size=64)
    before = weights_digest(folder)
    with torch.no_grad():
        detector.head.convs[0].bias.fill_(3)
    detector.save_pretrained(folder)
    assert before != weights_digest(folder) == weights_digest(folder)


@pytest.mark.parametrize('damage', ['missing file', 'cut', 'no folder', 'a file', 'other weights', 'no config'])
def test_a_damaged_folder_is_told_and_moved_aside(folder, damage, caplog):
    weights = folder / 'detector.safetensors'
    if damage == 'missing file':
        weights.unlink()
    elif damage == 'cut':
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage in ('no folder', 'a file'):
        folder.rename(folder.with_name('away'))
        if damage == 'a file':
            folder.write_text('x')
    elif damage == 'other weights':
        weights.write_bytes(weights.read_bytes()[:-1] + b'\x7f')
    else:
        (folder / 'config.json').write_text('{')
    fault = folder_fault(folder)
    assert str(folder) in fault
    clear_damaged(folder, fault)
    assert not folder.exists() and folder.with_name('best.damaged-1').exists() == (damage != 'no folder')
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith(f'{folder} is written anew, from the last weights: ')
    assert message.endswith('kept as best.damaged-1') == (damage != 'no folder')
