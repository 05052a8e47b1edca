"""What all plots share: creating a figure, shortening names, saving."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.text import Text

from mbv3zoo.images.fonts import as_line, fonts_of
from mbv3zoo.utils.atomic import atomic_write
from mbv3zoo.utils.quiet import without_warnings

DPI = 120


def new_figure(width: float, height: float, title: str) -> Figure:
    """An empty figure, size in inches, without a backend or global state."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout='constrained')
    figure.suptitle(title, fontsize=12)
    return figure


def plain_axes(axes: Axes, title: str, x_label: str, y_label: str) -> None:
    """Sets title, labels and a light grid, and hides the top and right spines."""
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(x_label, fontsize=9)
    axes.set_ylabel(y_label, fontsize=9)
    axes.tick_params(which='both', labelsize=8)
    axes.yaxis.offsetText.set_fontsize(8)
    axes.grid(alpha=0.3)
    axes.spines[['top', 'right']].set_visible(False)


def shown_name(name: str, length: int = 24) -> str:
    """A class name for matplotlib: shortened, with dollar signs escaped."""
    name = ' '.join(as_line(name).split())
    name = name if len(name) <= length else f'{name[: length - 3]}...'
    return name.replace('$', r'\$')


def save_figure(figure: Figure, path: str | Path) -> None:
    """Writes a figure as a PNG file, atomically, its texts in fonts that have their characters."""
    _use_fonts(figure)
    # `fonts_of` has told it, once for all texts.
    with without_warnings(message=r'Glyph \d+ .* missing from'):
        atomic_write(path, lambda file: figure.savefig(file, format='png', dpi=DPI))


def _use_fonts(figure: Figure) -> None:
    """Gives texts further fonts, where matplotlib's own has not all of the figure's characters."""
    texts = [found for found in figure.findobj(Text) if isinstance(found, Text)]
    files = [str(file) for file in fonts_of(text.get_text() for text in texts)]
    if not files:
        return
    for file in set(files).difference(entry.fname for entry in fontManager.ttflist):
        fontManager.addfont(file)
    names = {entry.fname: entry.name for entry in reversed(fontManager.ttflist)}
    families = [names[file] for file in files]
    for axes in figure.axes:
        # Also of ticks that are not made yet.
        axes.tick_params(which='both', labelfontfamily=['sans-serif', *families])
    for text in texts:
        text.set_fontfamily([*text.get_fontfamily(), *families])
