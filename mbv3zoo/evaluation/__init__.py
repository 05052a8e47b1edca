"""COCO average precision of a detector on a labelled set."""
