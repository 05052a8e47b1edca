"""Synthetic detection scenes: textured objects, told apart by shape, on cluttered backgrounds."""

from mbv3zoo.data.synthetic.config import SyntheticConfig
from mbv3zoo.data.synthetic.scene import generate_scene, open_sources
from mbv3zoo.data.synthetic.shapes import CLASS_NAMES
from mbv3zoo.data.synthetic.writer import synthesize

__all__ = ['CLASS_NAMES', 'SyntheticConfig', 'generate_scene', 'open_sources', 'synthesize']
