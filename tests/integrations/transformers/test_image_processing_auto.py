import numpy as np
import pytest
import torch
from PIL import Image

import mbv3zoo

transformers = pytest.importorskip('transformers')
NAME = 'mbv3_yolo_small.synth'


@pytest.fixture(scope='module')
def processor():
    return transformers.AutoImageProcessor.from_pretrained(NAME)


def test_boxes_are_those_of_predict_to_the_bit(processor, scene):
    detector, images = mbv3zoo.load(NAME), [Image.open(scene), Image.open(scene).resize((300, 500))]
    with torch.no_grad():
        outputs = transformers.AutoModelForObjectDetection.from_pretrained(NAME)(**processor(images))
    sizes = [(image.height, image.width) for image in images]
    for thresholds in ({}, {'iou_thresh': 0.1, 'max_detections': 2}):
        kept = processor.post_process_object_detection(outputs, 0.3, torch.tensor(sizes), **thresholds)
        expected = detector.predict(images, score_thresh=0.3, **thresholds)
        for one, found in zip(kept, expected, strict=True):
            assert len(found) >= 2 and torch.equal(one['boxes'], found.boxes)
            assert torch.equal(one['scores'], found.scores) and torch.equal(one['labels'], found.labels)
    (plain, _) = processor.post_process_object_detection(outputs, 0.3)
    assert plain['boxes'].shape[1] == 4 and not torch.equal(plain['boxes'], kept[0]['boxes'])


def test_images_may_be_arrays_tensors_and_files(processor, scene):
    pixels = np.array(Image.open(scene))
    given = [str(scene), pixels, torch.from_numpy(pixels).permute(2, 0, 1)]
    for image in given:
        boxed = processor(images=image, return_tensors='pt')['pixel_values']
        assert boxed.shape == (1, 3, *mbv3zoo.load(NAME).config.image_size) and 0 <= boxed.min() < boxed.max() <= 1
    assert isinstance(processor(images=given, return_tensors='np')['pixel_values'], np.ndarray)
    assert '"image_size"' in repr(processor)


def test_without_nms_every_box_above_the_threshold_is_kept(scene, tmp_path):
    detector = mbv3zoo.create_detector(NAME, pretrained=True, image_size=320).eval()
    saved = str(detector.without_nms().save_pretrained(tmp_path))
    alone = transformers.AutoImageProcessor.from_pretrained(saved)
    image = Image.open(scene)
    expected = {saved: detector.predict(image, nms=False), NAME: detector.predict(image, iou_thresh=1.0)}
    assert 3 < 3 * len(expected[saved]) < len(expected[NAME])
    for name, found in expected.items():
        with torch.no_grad():
            outputs = transformers.AutoModelForObjectDetection.from_pretrained(name)(**alone([image]))
        (kept,) = alone.post_process_object_detection(outputs, 0.25)
        assert len(kept['boxes']) == len(found)
