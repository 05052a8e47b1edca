"""Boxes into a letterbox: what tests compare with, and no part of the package needs."""


def boxes_to_letterbox(letterbox, boxes):
    """The inverse of `Letterbox.boxes_to_original`, not clipped: xyxy [N, 4] in pixels of the letterbox."""
    ratios, pads = letterbox._ratios_and_pads(boxes)
    return boxes * ratios + pads
