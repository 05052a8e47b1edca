"""A tiny video, drawn on the spot (PyAV)."""

from fractions import Fraction

import av
import numpy as np

SIZE = 48, 64


def write_clip(path, count=20, times=None, size=SIZE, codec='mpeg4'):
    """A square that moves by two pixels a frame; times in milliseconds."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = *size, 'yuv420p'
        stream.codec_context.time_base = Fraction(1, 1000)
        for index in range(count):
            image = np.zeros((*size, 3), np.uint8)
            image[8:24, 2 * index : 2 * index + 16] = 255
            frame = av.VideoFrame.from_ndarray(image, format='rgb24')
            frame.pts, frame.time_base = (times[index] if times else 100 * index), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
