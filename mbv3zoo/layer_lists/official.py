"""The rows of YOLOv5 v6.0, which n, s, m, l and x share."""

from __future__ import annotations

from mbv3zoo.config.layer_rows import LayerRow


def _rows(table: list[tuple[tuple[int, ...], int, str, tuple]]) -> tuple[LayerRow, ...]:
    return tuple(LayerRow(sources=s, repeats=n, block=block, args=args) for s, n, block, args in table)


# Rows 0 to 8; -1 is the image.
BACKBONE_ROWS = _rows(
    [
        ((-1,), 1, 'Conv', (64, 6, 2, 2)),
        ((0,), 1, 'Conv', (128, 3, 2)),
        ((1,), 3, 'C3', (128,)),
        ((2,), 1, 'Conv', (256, 3, 2)),
        ((3,), 6, 'C3', (256,)),
        ((4,), 1, 'Conv', (512, 3, 2)),
        ((5,), 9, 'C3', (512,)),
        ((6,), 1, 'Conv', (1024, 3, 2)),
        ((7,), 3, 'C3', (1024,)),
    ]
)
# The rows that end a stage, at strides 4, 8, 16, 32.
BACKBONE_STAGES = (2, 4, 6, 8)

# Rows 9 to 23, on the outputs of rows 4, 6 and 8: what `mbv3zoo.models.neck.PAN` computes.
NECK_ROWS = _rows(
    [
        ((8,), 1, 'SPPF', (1024, 5)),
        ((9,), 1, 'Conv', (512, 1, 1)),
        ((10,), 1, 'nn.Upsample', (None, 2, 'nearest')),
        ((11, 6), 1, 'Concat', (1,)),
        ((12,), 3, 'C3', (512, False)),
        ((13,), 1, 'Conv', (256, 1, 1)),
        ((14,), 1, 'nn.Upsample', (None, 2, 'nearest')),
        ((15, 4), 1, 'Concat', (1,)),
        ((16,), 3, 'C3', (256, False)),
        ((17,), 1, 'Conv', (256, 3, 2)),
        ((18, 14), 1, 'Concat', (1,)),
        ((19,), 3, 'C3', (512, False)),
        ((20,), 1, 'Conv', (512, 3, 2)),
        ((21, 10), 1, 'Concat', (1,)),
        ((22,), 3, 'C3', (1024, False)),
    ]
)
NECK_INPUTS = (4, 6, 8)
NECK_OUTPUTS = (17, 20, 23)
