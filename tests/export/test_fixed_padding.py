import torch
from timm.layers import Conv2dSame
from torch import nn

from mbv3zoo.export.fixed_padding import PaddedConv2d, fix_same_padding


def test_same_padding_that_depends_on_the_size_stays():
    # Of 32 cells and 64 a stride of 3 leaves one and two, which are padded by other numbers.
    model = nn.Sequential(Conv2dSame(3, 4, 3, stride=2), Conv2dSame(4, 4, 5, stride=3))
    smallest = torch.zeros(1, 3, 32, 32)
    images = [torch.rand(1, 3, 64 * i, 32) for i in (1, 2, 3)]
    with torch.no_grad():
        expected = [model(x) for x in images]
        fix_same_padding(model, smallest)
        assert [type(m) for m in model] == [PaddedConv2d, Conv2dSame]
        for x, other in zip(images, expected, strict=True):
            assert torch.equal(model(x), other)
