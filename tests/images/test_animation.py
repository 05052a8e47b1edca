import numpy as np
import pytest
from PIL import Image, features

pytest.importorskip('av')
from clips import write_animation  # noqa: E402

from mbv3zoo.images.animation import is_animation, read_animation  # noqa: E402

KINDS = [('gif', {'disposal': 1}), ('gif', {'disposal': 2}), ('webp', {'lossless': True}), ('png', {})]
KINDS += [('png', {'default_image': True}), ('avif', {'quality': 100})]


@pytest.mark.parametrize(('suffix', 'options'), KINDS)
def test_each_frame_is_what_a_page_shows_and_as_long(tmp_path, suffix, options):
    if suffix == 'avif' and not features.check('avif'):
        pytest.skip('Pillow reads no AVIF')
    path = write_animation(tmp_path / f'a.{suffix}', 6, [100, 200, 50, 0, 100, 300], **options)
    frames = list(read_animation(path))
    # The image of a PNG for programs without animations is none of its frames.
    first = int('default_image' in options)
    assert is_animation(path) and len(frames) == 6 - first
    assert [time for time, _ in frames] == pytest.approx([0, 0.1, 0.3, 0.35, 0.45, 0.55][: 6 - first])
    for index, (_, pixels) in enumerate(frames, first):
        assert pixels.shape == (48, 64, 3) and pixels.dtype == np.uint8
        expected = np.full((48, 64, 3), (0, 0, 40), int)
        expected[8:24, 2 * index : 2 * index + 16] = 255
        assert np.abs(pixels - expected).max() <= (12 if suffix == 'avif' else 0)


@pytest.mark.parametrize(('suffix', 'options'), [('gif', {'disposal': 2}), ('png', {'disposal': 1}), ('webp', {})])
def test_transparent_frames_are_shown_over_white(tmp_path, suffix, options):
    images = [Image.new('RGBA', (30, 20)) for _ in range(3)]
    for index, image in enumerate(images):
        image.paste((255, 0, 0, 255), (10 * index, 0, 10 * index + 10, 20))
    if suffix == 'webp':
        options = {'lossless': True}
    images[0].save(tmp_path / f'a.{suffix}', save_all=True, append_images=images[1:], duration=100, **options)
    shown = [
        [pixels[10, x].tolist() == [255, 0, 0] for x in (5, 15, 25)]
        for _, pixels in read_animation(tmp_path / f'a.{suffix}')
    ]
    assert shown == [[True, False, False], [False, True, False], [False, False, True]]


@pytest.mark.parametrize('name', ['a.gif', 'a.png', 'a.tiff', 'a.jpg', 'gone.gif', 'words.gif', '.'])
def test_still_images_and_pages_are_no_animation(tmp_path, name):
    image = Image.new('RGB', (8, 8))
    if name == 'words.gif':
        (tmp_path / name).write_text('words')
    elif name == 'a.tiff':
        image.save(tmp_path / name, save_all=True, append_images=[image, image])
    elif name.startswith('a.'):
        image.save(tmp_path / name)
    assert not is_animation(tmp_path / name)


@pytest.mark.parametrize('suffix', ['gif', 'png'])
def test_what_is_cut_off_gives_the_frames_before_and_a_warning(tmp_path, suffix):
    data = write_animation(tmp_path / f'a.{suffix}', 6).read_bytes()
    (tmp_path / f'cut.{suffix}').write_bytes(data[: len(data) * 2 // 3])
    with pytest.warns(UserWarning, match=rf'cut.{suffix}: is damaged after \d frames, and ends there'):
        frames = list(read_animation(tmp_path / f'cut.{suffix}'))
    assert 1 <= len(frames) < 6


def test_larger_frames_than_asked_for_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r'a.gif.*more than 100'):
        next(read_animation(write_animation(tmp_path / 'a.gif'), max_pixels=100))
