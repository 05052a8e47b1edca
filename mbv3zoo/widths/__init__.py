"""Widths of layers: which channels belong together, and networks of which some are removed."""

# timm's name of models that are made narrower, and which it makes narrower by default.
NARROWED, DEFAULT_BASE = 'narrowed', 'mbv3_yolo_large'
