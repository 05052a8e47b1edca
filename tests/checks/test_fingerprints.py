"""Copies have one fingerprint, whatever became of them; other images have others."""

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from mbv3zoo.checks.fingerprints import COPY, LENGTH, fingerprint, same_groups


@pytest.fixture(scope='module')
def pictures():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (40, 7, 9, 3), np.uint8)
    return [Image.fromarray(each).resize((270, 210), Image.Resampling.BICUBIC) for each in coarse]


def compressed(picture):
    file = io.BytesIO()
    picture.save(file, 'JPEG', quality=30)
    return Image.open(file)


CHANGES = {
    'half the size': lambda picture: picture.resize((135, 105)),
    'another aspect ratio': lambda picture: picture.resize((400, 210)),
    'compressed': compressed,
    'brighter': lambda picture: ImageEnhance.Brightness(picture).enhance(1.1),
    'less contrast': lambda picture: ImageEnhance.Contrast(picture).enhance(0.6),
    'grey': lambda picture: picture.convert('L'),
    'without a margin': lambda picture: picture.crop((2, 2, 268, 208)),
}


def print_of(picture):
    return fingerprint(np.asarray(picture.convert('L')))


@pytest.mark.parametrize('change', CHANGES)
def test_a_changed_copy_is_recognised(change, pictures):
    for picture in pictures:
        assert print_of(picture) @ print_of(CHANGES[change](picture)) > COPY


def test_other_images_are_far_from_copies(pictures):
    prints = np.stack([print_of(picture) for picture in pictures])
    assert (prints @ prints.T - np.eye(len(prints))).max() < 0.8


def test_it_is_the_correlation_of_the_cells():
    rng = np.random.default_rng(1)
    one, other = rng.integers(0, 256, (2, 16, 16), np.uint8)
    assert fingerprint(one) @ fingerprint(other) == pytest.approx(
        np.corrcoef(one.ravel(), other.ravel())[0, 1], abs=1e-6
    )


def test_images_of_one_colour_are_like_none():
    blank = fingerprint(np.full((50, 40), 200, np.uint8))
    assert blank.shape == (LENGTH,) and not blank.any()
    assert fingerprint(np.zeros((1, 1), np.uint8)).shape == (LENGTH,)
    assert same_groups(np.stack([blank, blank]), [b'a', b'b']) == []
    assert same_groups(np.stack([blank, blank]), [b'a', b'a']) == [[0, 1]]


def test_groups_across_blocks_are_those_of_a_slow_search(monkeypatch):
    monkeypatch.setattr('mbv3zoo.checks.fingerprints._BLOCK', 7)
    rng = np.random.default_rng(2)
    prints = rng.normal(size=(12, LENGTH)).repeat(3, 0) + rng.normal(scale=0.1, size=(36, LENGTH))
    prints = (prints / np.linalg.norm(prints, axis=1, keepdims=True)).astype(np.float32)[rng.permutation(36)]
    groups = same_groups(prints, [bytes([i]) for i in range(36)])
    slow = {tuple(np.flatnonzero(prints @ own > COPY).tolist()) for own in prints}
    assert {tuple(group) for group in groups} == slow and len(slow) == 12
    assert same_groups(np.empty((0, LENGTH), np.float32), []) == []
