import json

import numpy as np
import pytest
from PIL import Image

from mbv3zoo.detections import Detections
from mbv3zoo.prediction.folder import write_predictions
from mbv3zoo.prediction.label_studio_files import LabelStudioFiles


def found(path):
    return Detections(np.array([[1, 2, 3, 4]]), np.array([0.5]), np.array([0]), ('cat',), (8, 8), str(path))


def test_tasks_are_whole_after_each_image(tmp_path):
    with LabelStudioFiles(tmp_path, ['cat'], tmp_path) as files:
        for count, name in enumerate(['a.jpg', 'b/c.jpg'], 1):
            files.add(found(tmp_path / name))
            tasks = json.loads((tmp_path / 'label_studio.json').read_text())
            assert len(tasks) == count and tasks[-1]['data']['image'].endswith(f'?d={name}')
    assert '<Label value="cat"' in (tmp_path / 'label_studio.xml').read_text()


def test_a_folder_of_images_has_one_task_for_each_that_can_be_read(tmp_path):
    from mbv3zoo.create import create_detector

    photos = tmp_path / 'photos'
    photos.mkdir()
    for name in ('a.png', 'b.png'):
        Image.new('RGB', (40, 30)).save(photos / name)
    (photos / 'c.png').write_text('no image')
    detector = create_detector('mbv3_yolo_small', class_names=['cat'], image_size=64)
    options = {'label_studio': True, 'draw': False}
    with pytest.warns(UserWarning, match=r'c\.png'):
        list(write_predictions(detector, photos, tmp_path / 'out', label_studio_root=tmp_path, **options))
    tasks = json.loads((tmp_path / 'out/label_studio.json').read_text())
    assert [task['data']['image'][-12:] for task in tasks] == ['photos/a.png', 'photos/b.png']
    # Before anything is written.
    for source, root, said in (
        (photos, tmp_path / 'out', 'is not in'),
        ([Image.new('RGB', (9, 9))], None, 'for image files'),
    ):
        with pytest.raises(ValueError, match=said):
            list(write_predictions(detector, source, tmp_path / 'new', label_studio_root=root, **options))
    with pytest.raises(ValueError, match='ask for both'):
        list(write_predictions(detector, photos, tmp_path / 'new', label_studio_root=tmp_path))
    assert not (tmp_path / 'new').exists()
