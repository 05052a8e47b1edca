"""Widths of layers: which channels belong together, and networks of which some are removed."""
