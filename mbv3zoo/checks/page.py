"""The report of a check as one HTML file, with pictures of the worst cases."""

from __future__ import annotations

import base64
import io
import math
from html import escape

from PIL import Image

from mbv3zoo.checks.dataset import DatasetReport
from mbv3zoo.checks.findings import Example, Finding
from mbv3zoo.images.draw import draw_boxes
from mbv3zoo.images.read import read_image
from mbv3zoo.utils.sizes import MAX_PIXELS
from mbv3zoo.utils.text import printable
from mbv3zoo.version import __version__

_SIDE, _QUALITY = 320, 80  # of a picture, in pixels
# An object that is smaller on the picture is shown from near: a part of the image, so many times as large as it.
_LEAST_SHOWN, _AROUND = 12, 6
_MOST_LINES = 100
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse } td, th { padding: .15em .8em; text-align: right; border-bottom: 1px solid #ddd }
td:first-child, th:first-child { text-align: left }
h2 { margin-top: 2em; font-size: 1.1em } h2 span { color: #fff; border-radius: .3em; padding: .1em .5em }
.error { background: #b3261e } .warning { background: #a15c00 } .note { background: #4a6572 }
.shown { display: flex; flex-wrap: wrap; gap: 1em } figure { margin: 0; width: 20em }
img { max-width: 100%; border: 1px solid #ddd } figcaption { font-size: .85em; overflow-wrap: anywhere }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f5f5f5; padding: .5em; font-size: .85em }
"""


def page_of(report: DatasetReport) -> str:
    """An HTML page that needs no other file: counts, findings, and pictures of their examples."""
    head, *rows = report.counts()
    table = ''.join(f'<tr>{_cells(row, "td")}</tr>' for row in rows)
    title = f'Check of {escape(printable(report.source))}'
    # Splits may have other classes, which is an error of its own.
    names = max((data.class_names for data in report.splits.values()), key=len)
    findings = ''.join(_finding(finding, names) for finding in report.findings)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n'
        f'<body><h1>{title}</h1>\n<p>{escape(report.summary())}</p>\n'
        f'<table><tr>{_cells(head, "th")}</tr>{table}</table>\n{findings}'
        f'<p><small>mbv3zoo {escape(__version__)}</small></p></body></html>\n'
    )


def _cells(row: list[str], tag: str) -> str:
    return ''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in row)


def _finding(finding: Finding, names: tuple[str, ...]) -> str:
    head = f'<h2><span class="{finding.level}">{finding.level}</span> {escape(printable(finding.name))}</h2>\n'
    shown = ''.join(_figure(example, names) for example in finding.examples)
    pictures = f'<div class="shown">{shown}</div>\n' if shown else ''
    lines = [printable(line) for line in finding.lines[:_MOST_LINES]]
    if more := len(finding.lines) - len(lines):
        lines.append(f'... and {more:,} more')
    listed = f'<pre>{escape(chr(10).join(lines))}</pre>\n' if lines else ''
    return f'{head}<p>{escape(printable(finding.text))}</p>\n{pictures}{listed}'


def _figure(example: Example, names: tuple[str, ...]) -> str:
    record = example.record
    caption = escape(printable(f'{record.path.name}: {example.caption}'))
    try:
        source = _picture(example, names)
    except ValueError as error:
        return f'<figure><figcaption>{caption}; {escape(printable(str(error)))}</figcaption></figure>'
    title = escape(printable(str(record.path)), quote=True)
    return f'<figure><img src="{source}" title="{title}" alt=""><figcaption>{caption}</figcaption></figure>'


def _picture(example: Example, names: tuple[str, ...]) -> str:
    """The image with the boxes in question as a data URL; close to the first one where that is tiny."""
    record = example.record
    image = Image.fromarray(read_image(record.path, max_pixels=max(MAX_PIXELS, math.prod(record.size))))
    boxes = record.boxes[list(example.objects)]
    left, top, right, bottom = 0, 0, image.width, image.height
    scale = _SIDE / max(image.size)
    if len(boxes) and float((boxes[0, 2:] - boxes[0, :2]).max()) * scale < _LEAST_SHOWN:
        centre, side = boxes[0].view(2, 2).mean(0).tolist(), float((boxes[0, 2:] - boxes[0, :2]).max())
        half = max(_AROUND * side, _LEAST_SHOWN)
        left, top = max(0, int(centre[0] - half)), max(0, int(centre[1] - half))
        right, bottom = min(right, math.ceil(centre[0] + half)), min(bottom, math.ceil(centre[1] + half))
        image = image.crop((left, top, right, bottom))
        scale = _SIDE / max(image.size)
    image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    shifted = (boxes - boxes.new_tensor([left, top, left, top])) * scale
    rows = zip(shifted.tolist(), record.labels[list(example.objects)].tolist(), strict=True)
    draw_boxes(image, [(box, label, names[label]) for box, label in rows], line_width=2, font_size=12)
    file = io.BytesIO()
    image.save(file, 'JPEG', quality=_QUALITY)
    return f'data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode("ascii")}'
