"""A contact sheet of images with boxes or masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw

from mbv3zoo.images.draw import draw_boxes
from mbv3zoo.images.fonts import TextLine
from mbv3zoo.utils.atomic import atomic_write

CELL_WIDTH = 400
_MARGIN = 10
_LINE = 20
_PAPER, _INK, _GREY = (255, 255, 255), (0, 0, 0), (225, 225, 225)


def cell_size(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """(height, width) in pixels of a cell that fits most of the images' (height, width)."""
    ratios = sorted(height / width for height, width in sizes)
    ratio = ratios[len(ratios) // 2] if ratios else 1
    return round(CELL_WIDTH * min(max(ratio, 0.5), 1.5)), CELL_WIDTH


def draw_cell(
    image: Image.Image, boxes: torch.Tensor, labels: torch.Tensor, captions: list[str], size: tuple[int, int]
) -> Image.Image:
    """An image with its boxes, scaled to fit a cell.

    Boxes are drawn after scaling, so that lines and captions have the same size in all cells.

    Args:
        image: RGB.
        boxes: [N, 4] xyxy in pixels of `image`; the last is drawn on top.
        labels: int64 [N]; they choose the colours.
        captions: One per box.
        size: (height, width) of the cell in pixels.
    """
    canvas = fitted(image, size)
    ratios = torch.tensor([canvas.width / image.width, canvas.height / image.height] * 2)
    scaled = (boxes.cpu() * ratios).tolist()
    draw_boxes(canvas, zip(scaled, labels.tolist(), captions, strict=True), line_width=2, font_size=12)
    return centred(canvas, size)


def fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """An image, scaled to fit a cell of (height, width) pixels."""
    scale = min(size[0] / image.height, size[1] / image.width)
    return image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))


def centred(canvas: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A cell of (height, width) pixels with an image that fits in the middle of it."""
    cell = Image.new('RGB', size[::-1], _GREY)
    cell.paste(canvas, ((size[1] - canvas.width) // 2, (size[0] - canvas.height) // 2))
    return cell


def write_sheet(rows: list[list[Image.Image]], captions: list[str], title: str, columns: int, path: str | Path) -> None:
    """Writes groups of cells as a PNG file, atomically: `columns` groups a row, a caption of some lines under each."""
    group = max((len(cells) for cells in rows), default=1)
    width, height = rows[0][0].size if rows else (CELL_WIDTH, 0)
    lines = -(-len(rows) // columns)
    columns = min(columns, max(1, len(rows)))
    under = _LINE * max((caption.count('\n') + 1 for caption in captions), default=1)
    # Cells of a group are close together, groups apart.
    group_width = group * (width + 2) - 2
    heading = TextLine(title, size=16)
    left = _MARGIN
    sheet_width = max(columns * (group_width + 2 * _MARGIN), round(heading.width) + 2 * _MARGIN)
    sheet = Image.new('RGB', (sheet_width, 2 * _LINE + lines * (height + under + _MARGIN)), _PAPER)
    painter = ImageDraw.Draw(sheet)
    heading.draw(painter, (left, _MARGIN), _INK)
    for i, (cells, caption) in enumerate(zip(rows, captions, strict=True)):
        left = _MARGIN + i % columns * (group_width + 2 * _MARGIN)
        top = 2 * _LINE + i // columns * (height + under + _MARGIN)
        for j, cell in enumerate(cells):
            sheet.paste(cell, (left + j * (width + 2), top))
        for j, text in enumerate(caption.split('\n')):
            _shortened(text, group_width).draw(painter, (left, top + height + 3 + j * _LINE), _INK)
    atomic_write(path, lambda file: sheet.save(file, format='PNG'))


def _shortened(text: str, width: int) -> TextLine:
    """A text cut at its start to `width` pixels, as the end of a file's name tells more."""
    line = TextLine(text, size=12)
    while text and line.width > width:
        text = text[1:]
        line = TextLine(f'...{text}', size=12)
    return line
