"""One model of each family makes a segmenter that learns, and whose exported file gives its labels.

MBV3ZOO_TEST_ALL=1 pytest -m slow tests/test_segmenter_families.py    # all of them
"""

import pytest
import torch
from amount import amount, sample
from backbone_checks import check_train, small_size, smallest_of_families
from exported_files import needs

import mbv3zoo

# In every run a transformer, a backbone that is dilated and one that is not, attention over windows, and limits that
# ONNX's exporter forgets.
ALWAYS = ('vision_transformer', 'resnet', 'repvit', 'hiera', 'gemma4_vit')
in_sample = sample(0.02, lambda row: row.family in ALWAYS)
FAMILIES = {row.family: row for row in smallest_of_families() if in_sample(row)}
# The smallest of these have 171 and 416 million parameters in equal blocks, of which three show the same.
FEWER_BLOCKS = {'gemma4_vit': {'depth': 3}, 'deepseek_vit': {'depth': 3}}


@pytest.mark.slow
@pytest.mark.parametrize('family', FAMILIES)
def test_one_of_each_family_is_trained_and_exported(family, tmp_path):
    needs('onnx')
    torch.manual_seed(0)
    size = small_size(FAMILIES[family])
    fewer = amount(FEWER_BLOCKS, {}).get(family, {})
    segmenter = mbv3zoo.create_segmenter(FAMILIES[family].name, num_classes=3, image_size=size, **fewer)
    images = torch.rand(2, 3, *size)
    logits = segmenter(images)
    assert logits.shape == (2, 3, *size) and segmenter.config.high_stride in (16, 32)
    if (
        family != 'coat'
    ):  # its last block always makes the coarsest map too, which a head for strides 8 and 16 has no use for
        check_train(segmenter, images)
    optimizer = torch.optim.SGD(segmenter.parameters(), 1e-3)
    torch.nn.functional.cross_entropy(logits, logits.argmin(1)).backward()
    optimizer.step()
    path = segmenter.eval().export(tmp_path / 'm.onnx')
    for parity in mbv3zoo.read_certificate(path).pictures:
        assert parity.labels_compared and parity.labels_apart < 0.002 and parity.logits_relative < 1e-4
    image = (images[0].permute(1, 2, 0) * 255).byte().numpy()
    assert (mbv3zoo.load(path).predict(image).labels == segmenter.predict(image).labels).mean() > 0.99
