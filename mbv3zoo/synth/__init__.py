"""Synthetic detection scenes: textured objects, whose class is their shape, on cluttered backgrounds."""

from mbv3zoo.synth.config import SyntheticConfig
from mbv3zoo.synth.scene import generate_scene, open_sources
from mbv3zoo.synth.shapes import CLASS_NAMES
from mbv3zoo.synth.writer import synthesize

__all__ = ['CLASS_NAMES', 'SyntheticConfig', 'generate_scene', 'open_sources', 'synthesize']
