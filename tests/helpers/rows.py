"""Rows of a layer list in one line each."""

from mbv3zoo.config.layer_rows import LayerRow, LayerRows


def rows_of(*table, first=0, inputs=(-1,), outputs=None):
    """Rows (sources, repeats, block, args), numbered from `first`; the last one is the output where none are named."""
    rows = tuple(LayerRow(sources=s, repeats=n, block=block, args=args) for s, n, block, args in table)
    outputs = outputs if outputs is not None else (first + len(rows) - 1,)
    return LayerRows(rows=rows, first=first, inputs=inputs, outputs=outputs)
