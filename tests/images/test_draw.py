import numpy as np
from PIL import Image

from mbv3zoo.images.colours import class_colour
from mbv3zoo.images.draw import draw_boxes


def test_boxes_are_drawn_in_order_with_lines_of_the_width_asked_for():
    image = Image.new('RGB', (100, 80))
    draw_boxes(image, [((10, 30, 60, 70), 0, ''), ([10.2, 29.8, 60.4, 70], 1, '')], line_width=3, font_size=12)
    column = np.asarray(image)[:, 40]
    assert column.any(axis=1).nonzero()[0].tolist() == [30, 31, 32, 67, 68, 69]
    assert column[30].tolist() == list(class_colour(1))
    before = image.tobytes()
    draw_boxes(image, [], line_width=3, font_size=12)
    assert image.tobytes() == before


def test_captions_stay_inside_the_image_in_an_ink_that_can_be_read():
    def caption(label, left):
        image = Image.new('RGB', (200, 100), (1, 2, 3))
        draw_boxes(image, [((left, 50, 199, 99), label, 'umbrella 0.97')], line_width=1, font_size=12)
        above = np.asarray(image)[:50]
        rows, columns = (above != (1, 2, 3)).any(axis=2).nonzero()
        return above[rows.min() :, columns.min() : columns.max() + 1].astype(int)

    for label in range(12):
        whole, moved = caption(label, 20), caption(label, 190)
        assert np.array_equal(whole, moved)
        assert np.abs(whole - class_colour(label)).sum(axis=2).max() > 180


def test_long_names_in_small_images_are_shortened_and_keep_their_score():
    def drawn(caption, width):
        image = Image.new('RGB', (width, 60))
        draw_boxes(image, [((5, 30, 30, 50), 0, caption)], line_width=1, font_size=12)
        return np.asarray(image)

    name = 'a name that goes on and on and on'
    # The same score ends in the same pixels; another one in others.
    assert np.array_equal(drawn(f'{name} 0.92', 90), drawn(f'{name} and on 0.92', 90))
    assert not np.array_equal(drawn(f'{name} 0.92', 90), drawn(f'{name} 0.31', 90))
    assert drawn(f'{name} 0.92', 20).any() and drawn('', 20).any()
