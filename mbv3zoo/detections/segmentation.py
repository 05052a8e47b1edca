"""What a segmenter found in one image."""

from __future__ import annotations


class Segmentation:
    """The class of every pixel of one image."""
