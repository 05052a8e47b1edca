"""Colours and captions of boxes, the same wherever boxes are drawn."""

import colorsys

from PIL import ImageDraw, ImageFont


def class_colour(label: int) -> tuple[int, int, int]:
    """A class's colour, RGB in 0..255."""
    # Steps of the golden ratio keep the hues of neighbouring classes far apart, however many there are.
    hue = (label * 0.618033988749895) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_caption(
    painter: ImageDraw.ImageDraw,
    caption: str,
    corner: tuple[int, int],
    canvas_size: tuple[int, int],
    colour: tuple[int, int, int],
    font: ImageFont.FreeTypeFont,
) -> None:
    """Writes a caption above a box's top left corner, moved where needed to stay inside the picture."""
    text_left, text_top, text_right, text_bottom = painter.textbbox((0, 0), caption, font=font)
    width, height = round(text_right - text_left) + 4, round(text_bottom - text_top) + 4
    left = max(0, min(corner[0], canvas_size[0] - width))
    top = corner[1] - height if corner[1] >= height else max(0, min(corner[1], canvas_size[1] - height))
    painter.rectangle((left, top, left + width - 1, top + height - 1), fill=colour)
    # Rec. 601 brightness decides which of black and white can be read on the colour.
    bright = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 140
    ink = (0, 0, 0) if bright else (255, 255, 255)
    painter.text((left + 2 - text_left, top + 2 - text_top), caption, fill=ink, font=font)
