"""Boxes with captions on an image, drawn the same way everywhere."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Sequence

from PIL import Image, ImageDraw

from mbv3zoo.images.fonts import TextLine


def draw_boxes(
    image: Image.Image,
    rows: Iterable[tuple[Sequence[float], int, str]],
    line_width: int,
    font_size: int,
) -> None:
    """Draws boxes, in the colours of their classes, and captions onto an image.

    Captions are written in fonts that have their characters; see `mbv3zoo.images.fonts`.

    Args:
        image: RGB; it is changed.
        rows: For each box, the last one on top: xyxy in pixels of `image`, the label, the caption.
        line_width: In pixels.
        font_size: In pixels.
    """
    painter = ImageDraw.Draw(image)
    for box, label, caption in rows:
        colour = class_colour(label)
        left, top, right, bottom = map(round, box)
        # Edges lie between pixels, and the rectangle includes its last pixel.
        painter.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=colour, width=line_width)
        _draw_caption(painter, TextLine(caption, font_size), (left, top), image.size, colour)


def class_colour(label: int) -> tuple[int, int, int]:
    """The colour of a class, RGB in 0..255."""
    # Steps of the golden ratio keep the hues of neighbouring classes far apart, however many there are.
    hue = (label * 0.618033988749895) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


def _draw_caption(
    painter: ImageDraw.ImageDraw,
    caption: TextLine,
    corner: tuple[int, int],
    canvas_size: tuple[int, int],
    colour: tuple[int, int, int],
) -> None:
    """Writes a caption above a box's top left corner, moved where needed to stay inside the image."""
    text_left, text_top, text_right, text_bottom = caption.box(painter)
    width, height = round(text_right - text_left) + 4, round(text_bottom - text_top) + 4
    left = max(0, min(corner[0], canvas_size[0] - width))
    top = corner[1] - height if corner[1] >= height else max(0, min(corner[1], canvas_size[1] - height))
    painter.rectangle((left, top, left + width - 1, top + height - 1), fill=colour)
    # Rec. 601 brightness decides which of black and white can be read on the colour.
    bright = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 140
    ink = (0, 0, 0) if bright else (255, 255, 255)
    caption.draw(painter, (left + 2 - text_left, top + 2 - text_top), ink)
