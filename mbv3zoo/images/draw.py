"""Boxes with captions on an image, drawn the same way everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from PIL import Image, ImageDraw

from mbv3zoo.images.captions import place_captions
from mbv3zoo.images.colours import class_colour, ink_on
from mbv3zoo.images.fonts import TextLine

# The smallest letters that a caption is shrunk to where the image is too narrow for it, and the space around it; in
# pixels.
_LEAST_FONT, _PAD = 8, 2


def draw_boxes(
    image: Image.Image,
    rows: Iterable[tuple[Sequence[float], int, str]],
    line_width: int,
    font_size: int,
) -> None:
    """Draws boxes, in the colours of their classes, and captions onto an image.

    Captions lie where they hide least (`mbv3zoo.images.captions`), are written in fonts that have their characters
    (`mbv3zoo.images.fonts`), and are shortened where the image is narrower than they are.

    Args:
        image: RGB; it is changed.
        rows: For each box, the last one on top: xyxy in pixels of `image`, the label, the caption.
        line_width: In pixels.
        font_size: In pixels.
    """
    painter, rows = ImageDraw.Draw(image), [*rows]
    for (left, top, right, bottom), label, _ in ((map(round, row[0]), *row[1:]) for row in rows):
        # Edges lie between pixels, and the rectangle includes its last pixel.
        corners = (left, top, max(left, right - 1), max(top, bottom - 1))
        painter.rectangle(corners, outline=class_colour(label), width=line_width)
    draw_captions(image, rows, font_size)


def draw_captions(image: Image.Image, rows: Iterable[tuple[Sequence[float], int, str]], font_size: int) -> None:
    """Draws the captions of `draw_boxes` without the boxes, of which any may be a point."""
    painter = ImageDraw.Draw(image)
    boxes, colours, lines = [], [], []
    for box, label, caption in rows:
        boxes.append([round(side) for side in box])
        colours.append(class_colour(label))
        lines.append(_fitted(caption, font_size, image.width - 2 * _PAD))
    inks = [line.box(painter) for line in lines]
    sizes = [(round(ink[2] - ink[0]) + 2 * _PAD, round(ink[3] - ink[1]) + 2 * _PAD) for ink in inks]
    places = place_captions(boxes, sizes, image.size)
    for line, (left, top), (width, height), ink, colour in zip(lines, places, sizes, inks, colours, strict=True):
        painter.rectangle((left, top, left + width - 1, top + height - 1), fill=colour)
        line.draw(painter, (left + _PAD - ink[0], top + _PAD - ink[1]), ink_on(colour))


def draw_captioned(image: Image.Image, rows: Iterable[tuple[Sequence[float], int, str]]) -> None:
    """As `draw_boxes`, in a line width and font size for an image of this size."""
    draw_boxes(image, rows, line_width=max(1, round(max(image.size) / 320)), font_size=fitting_font(image))


def fitting_font(image: Image.Image) -> int:
    """The font size in pixels of captions on an image of this size."""
    return max(10, round(max(image.size) / 45))


def _fitted(caption: str, font_size: int, width: int) -> TextLine:
    """A caption in at most so many pixels: smaller, then with less of its name; its last word, the score, stays."""
    line = TextLine(caption, font_size)
    while line.width > width and font_size > _LEAST_FONT:
        font_size -= 1
        line = TextLine(caption, font_size)
    name, space, score = caption.rpartition(' ')
    while line.width > width and name:
        name = name[: min(len(name) - 1, int(len(name) * width / line.width))].rstrip()
        line = TextLine(f'{name}..{space}{score}' if name else score, font_size)
    return line
