import itertools
import math
from fractions import Fraction

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mbv3zoo.models.levels import Level, Route, choose_levels, make_level, resize

NATIVE, COMPLETED, SIMPLE = Route.NATIVE, Route.COMPLETED, Route.SIMPLE_PYRAMID

# Every pattern of reductions in timm 1.0.31, and those that arguments make of them: route, and (index, doublings).
PATTERNS = {
    (2, 4, 8, 16, 32): (NATIVE, [(2, 0), (3, 0), (4, 0)]),
    (4, 8, 16, 32): (NATIVE, [(1, 0), (2, 0), (3, 0)]),
    (1, 2, 4, 8, 16, 32): (NATIVE, [(3, 0), (4, 0), (5, 0)]),
    (8, 16, 32): (NATIVE, [(0, 0), (1, 0), (2, 0)]),
    (8, 16, 32, 64): (NATIVE, [(0, 0), (1, 0), (2, 0)]),
    (8, 8, 16, 32, 64): (NATIVE, [(1, 0), (2, 0), (3, 0)]),
    (16, 32, 64): (COMPLETED, [(0, 1), (0, 0), (1, 0)]),
    (12, 17): (COMPLETED, [(0, 1), (1, 0), (1, -1)]),
    (12, 12, 12, Fraction(120, 7), Fraction(120, 7)): (COMPLETED, [(2, 1), (4, 0), (4, -1)]),
    (4, 8, 16): (COMPLETED, [(1, 0), (2, 0), (2, -1)]),
    (1, 2, 4, 8, 16): (COMPLETED, [(3, 0), (4, 0), (4, -1)]),
    (7, 14, 14): (COMPLETED, [(0, 0), (2, 0), (2, -1)]),
    (7, 14, 28): (COMPLETED, [(0, 0), (1, 0), (2, 0)]),
    (4, 8): (COMPLETED, [(1, 0), (1, -1), (1, -2)]),
    (2, 4): (COMPLETED, [(1, -1), (1, -2), (1, -3)]),
    (32, 64): (COMPLETED, [(0, 2), (0, 1), (0, 0)]),
    (2, 4, 8, 16, 16): (COMPLETED, [(2, 0), (4, 0), (4, -1)]),
    (2, 4, 8, 8, 8): (COMPLETED, [(4, 0), (4, -1), (4, -2)]),
    (16, 16, 16): (SIMPLE, [(2, 1), (2, 0), (2, -1)]),
    (14, 14, 14): (SIMPLE, [(2, 1), (2, 0), (2, -1)]),
    (32, 32, 32): (SIMPLE, [(2, 2), (2, 1), (2, 0)]),
    (8, 8, 8): (SIMPLE, [(2, 0), (2, -1), (2, -2)]),
    (7, 7, 7): (SIMPLE, [(2, 0), (2, -1), (2, -2)]),
    (16,): (SIMPLE, [(0, 1), (0, 0), (0, -1)]),
    (64,): (SIMPLE, [(0, 3), (0, 2), (0, 1)]),
    # By reduction, not by position.
    (32, 16, 8): (NATIVE, [(2, 0), (1, 0), (0, 0)]),
    (16, 8, 32, 8, 4): (NATIVE, [(3, 0), (0, 0), (2, 0)]),
    # 8 and 32 are as far from 16: the finer one.
    (8, 32): (COMPLETED, [(0, 0), (0, -1), (1, 0)]),
    (32, 8): (COMPLETED, [(1, 0), (1, -1), (0, 0)]),
}


@pytest.mark.parametrize('reductions', PATTERNS, ids=str)
def test_levels_of_every_pattern_in_timm(reductions):
    route, levels = PATTERNS[reductions]
    assert choose_levels(reductions) == (route, [Level(*level) for level in levels])
    assert choose_levels([Fraction(r) for r in reductions]) == (route, [Level(*level) for level in levels])


def test_the_nearest_map_and_the_right_number_of_doublings_for_all_patterns():
    """Brute force: a doubling or halving more or less brings no map nearer to the stride."""
    for count in (1, 2, 3):
        for reductions in itertools.product((2, 4, 7, 8, 12, 14, 16, 17, 28, 32, 64), repeat=count):
            route, levels = choose_levels(reductions)
            assert (route is NATIVE) == all(s in reductions for s in (8, 16, 32))
            assert (route is SIMPLE) == (len(set(reductions)) == 1)
            for stride, (index, doublings) in zip((8, 16, 32), levels, strict=True):
                chosen = reductions[index]
                assert chosen not in reductions[index + 1 :]
                apart = {r: max(r / stride, stride / r) for r in reductions}
                assert apart[chosen] == min(apart.values())
                made = {n: abs(math.log(chosen / 2**n / stride)) for n in range(-6, 7)}
                assert made[doublings] == min(made.values())


def test_routes_are_words():
    assert [str(route) for route in Route] == ['native', 'completed', 'simple pyramid']


@pytest.mark.parametrize('project', [False, True])
@pytest.mark.parametrize('doublings', [-3, -2, -1, 0, 1, 2, 3])
@torch.no_grad()
def test_a_level_step_by_step(doublings, project):
    """Against ViTDet's text (section 3 and the appendix on the simple feature pyramid), with the same weights."""
    torch.manual_seed(0)
    layers, out_channels = make_level(16, doublings, project)
    weights = [p.normal_() for p in layers.parameters()]
    x = expected = torch.randn(2, 16, 16, 24)

    def layer_norm(x, weight, bias):
        mean = x.mean(1, keepdim=True)
        variance = (x - mean).square().mean(1, keepdim=True)
        return (x - mean) / (variance + 1e-6).sqrt() * weight[:, None, None] + bias[:, None, None]

    for _ in range(-doublings):
        expected = expected.unflatten(2, (-1, 2)).unflatten(4, (-1, 2)).amax((3, 5))
    for i in range(doublings):
        if i:
            expected = F.gelu(layer_norm(expected, weights.pop(0), weights.pop(0)))
        weight, bias = weights.pop(0), weights.pop(0)
        # Each cell becomes 2 x 2 cells on its own.
        expected = torch.einsum('bchw,cdij->bdhiwj', expected, weight).flatten(4, 5).flatten(2, 3)
        expected = expected + bias[:, None, None]
    assert expected.shape[1] == 16 // 2 ** max(doublings, 0)
    if project:
        expected = F.conv2d(expected, weights.pop(0))
        expected = layer_norm(expected, weights.pop(0), weights.pop(0))
        expected = F.conv2d(expected, weights.pop(0), padding=1)
        expected = layer_norm(expected, weights.pop(0), weights.pop(0))
    assert not weights
    assert out_channels == expected.shape[1] == (256 if project else 16 // 2 ** max(doublings, 0))
    assert expected.shape[2:] == (16 * 2.0**doublings, 24 * 2.0**doublings)
    torch.testing.assert_close(layers(x), expected, rtol=1e-4, atol=1e-4)


def test_a_map_that_fits_is_left_alone():
    layers, channels = make_level(7, 0, project=False)
    x = torch.randn(1, 7, 3, 5)
    assert channels == 7 and not list(layers.parameters()) and layers(x) is x


@pytest.mark.parametrize('doublings', [-2, -1, 0, 1, 2])
@pytest.mark.parametrize('project', [False, True])
def test_everything_in_a_level_is_trained(doublings, project):
    torch.manual_seed(0)
    layers, _ = make_level(16, doublings, project)
    x = torch.randn(2, 16, 8, 8, requires_grad=True)
    layers(x).square().sum().backward()
    assert x.grad.abs().sum() > 0
    assert all(p.grad is not None for p in layers.parameters())


def test_a_small_map_is_halved_to_one_cell_not_to_none():
    layers, _ = make_level(4, -2, project=False)
    assert layers(torch.randn(0, 4, 1, 3)).shape == (0, 4, 1, 1)
    assert layers(torch.randn(1, 4, 1, 5)).shape == (1, 4, 1, 2)


def test_levels_on_meta():
    layers, channels = make_level(16, 2, project=True)
    assert isinstance(layers, nn.Sequential)
    assert layers.to('meta')(torch.empty(1, 16, 3, 4, device='meta')).shape == (1, channels, 12, 16)


def test_resize_leaves_what_fits_as_it_is():
    x = torch.randn(1, 2, 3, 4)
    assert resize(x, (3, 4)) is x


@pytest.mark.parametrize(
    ('old', 'new'), [((23, 23), (20, 20)), ((20, 14), (24, 15)), ((64, 96), (70, 98)), ((10, 10), (5, 20))]
)
def test_resize_goes_from_corner_to_corner(old, new):
    """A ramp over the picture (0 at one edge, 1 at the other) stays the same ramp at the new cells' centres."""

    def ramp(size):
        rows, columns = ((torch.arange(n) + 0.5) / n for n in size)
        return torch.stack([rows[:, None].expand(size), columns.expand(size)])[None]

    resized, expected = resize(ramp(old), new), ramp(new)
    assert resized.shape == expected.shape
    margins = [math.ceil(n / o) for o, n in zip(old, new, strict=True)]
    inner = (slice(None), slice(None), *(slice(m, n - m) for m, n in zip(margins, new, strict=True)))
    torch.testing.assert_close(resized[inner], expected[inner], rtol=0, atol=1e-5)
    # Beyond the outer centres there is nothing to interpolate with; still less than half an old cell off.
    assert (resized - expected).abs().amax() < 0.5 / min(old)
    # Mirrored pictures give mirrored maps.
    noise = torch.randn(1, 2, *old)
    torch.testing.assert_close(resize(noise.flip(3), new), resize(noise, new).flip(3), rtol=0, atol=1e-4)
    torch.testing.assert_close(resize(noise.flip(2), new), resize(noise, new).flip(2), rtol=0, atol=1e-4)


def test_resize_of_no_pictures_and_half_precision():
    assert resize(torch.randn(0, 2, 3, 4), (6, 7)).shape == (0, 2, 6, 7)
    assert resize(torch.randn(1, 2, 3, 4).bfloat16(), (6, 7)).dtype == torch.bfloat16


def test_other_strides():
    assert choose_levels((2, 4, 8, 16, 32), (4, 8, 64)) == (COMPLETED, [Level(1, 0), Level(2, 0), Level(4, -1)])
    assert choose_levels((2, 4, 8, 16, 32), (4, 16)) == (NATIVE, [Level(1, 0), Level(3, 0)])
    assert choose_levels((8, 8, 16), None) == (NATIVE, [Level(0, 0), Level(1, 0), Level(2, 0)])
