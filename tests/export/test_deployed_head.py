import pytest
import torch

import mbv3zoo
from mbv3zoo.export.graph import DeployedNetwork
from mbv3zoo.info.flops import count_of
from mbv3zoo.runtimes.export_info import ExportInfo


@pytest.mark.parametrize('num_classes', [3, 200])
def test_the_same_numbers_from_fewer_multiplications(num_classes):
    """Classified before it is upsampled, where there are fewer classes than channels."""
    segmenter = mbv3zoo.create_segmenter('mbv3_yolo_small_050', num_classes=num_classes, image_size=64).eval()
    info = ExportInfo.of(segmenter.config, segmenter.strides, '1', input_dtype='float32')
    graph, images = DeployedNetwork(segmenter, info), torch.randint(0, 256, (2, 3, 64, 96)).float()
    with torch.no_grad():
        (found,), (expected,) = graph(images), segmenter.maps(images / 255)
    assert found.shape == (2, num_classes, 8, 12) and graph.head.classify_first == (num_classes == 3)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    one = torch.zeros(1, 3, 64, 64)
    saved = count_of(segmenter, one) - count_of(graph, one)
    assert saved == (2 * 128 * 3 * (8 * 8 - 4 * 4) if num_classes == 3 else 0)
