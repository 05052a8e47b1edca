"""Tiny videos, drawn on the spot (PyAV)."""

from fractions import Fraction

import av
import numpy as np
from PIL import Image

from mbv3zoo.detections import Detections

SIZE = 48, 64
NUMBERED_SIZE = 64, 128


class Bright:
    """Finds the bright square of each frame, without torch."""

    def __init__(self):
        self.calls = []

    def predict(self, images, **settings):
        self.calls.append((len(images), settings))
        found = []
        for image in images:
            y, x = np.nonzero(image.mean(2) > 128)
            boxes = np.array([[x.min(), y.min(), x.max() + 1, y.max() + 1]] if len(x) else np.zeros((0, 4)), np.float32)
            scores, labels = np.full(len(boxes), 0.9, np.float32), np.zeros(len(boxes), np.int64)
            found.append(Detections(boxes, scores, labels, ('square',), image.shape[:2]))
        return found


def write_clip(path, count=20, times=None, size=SIZE, codec='mpeg4', matrix=None, aspect=None):
    """A square that moves by two pixels a frame; times in milliseconds; the display matrix, nine integers."""

    def picture(index):
        image = np.zeros((*size, 3), np.uint8)
        image[8:24, 2 * index : 2 * index + 16] = 255
        return image

    return write_pictures(path, [picture(i) for i in range(count)], codec, times=times, matrix=matrix, aspect=aspect)


def write_animation(path, count=6, duration=100, **options):
    """A GIF, WebP or PNG with the same square on blue; durations in milliseconds."""
    images = []
    for index in range(count):
        pixels = np.full((*SIZE, 3), (0, 0, 40), np.uint8)
        pixels[8:24, 2 * index : 2 * index + 16] = 255
        images.append(Image.fromarray(pixels))
    images[0].save(path, save_all=True, append_images=images[1:], duration=duration, **options)
    return path


def write_numbered(path, count=80, codec='mpeg4', key_every=1, b_frames=0, **options):
    """25 frames a second; each shows its number in 8 bits, white for 1, and below it the same with black for 1."""
    pictures = []
    for number in range(count):
        bits = np.array([number >> bit & 1 for bit in range(8)], np.uint8).repeat(NUMBERED_SIZE[1] // 8) * 255
        half = np.broadcast_to(bits, (NUMBERED_SIZE[0] // 2, NUMBERED_SIZE[1]))
        pictures.append(np.repeat(np.vstack([half, 255 - half])[:, :, None], 3, axis=2))
    return write_pictures(path, pictures, codec, rate=25, key_every=key_every, b_frames=b_frames, options=options)


def read_number(image):
    """The number that a frame shows; None if the picture is damaged."""
    grey = image.astype(int).mean(2)
    centres = np.arange(8) * image.shape[1] // 8 + image.shape[1] // 16
    above, below = (
        np.array([grey[rows, centre - 3 : centre + 3].mean() for centre in centres])
        for rows in (slice(8, 24), slice(40, 56))
    )
    if (np.abs(above - below) < 128).any():
        return None
    return int(((above > below) << np.arange(8)).sum())


def write_pictures(
    path, pictures, codec, rate=10, times=None, matrix=None, aspect=None, key_every=None, b_frames=None, options=None
):
    with av.open(str(path), 'w', options={key: str(value) for key, value in (options or {}).items()}) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = 'yuvj420p' if codec == 'mjpeg' else 'yuv420p'
        base = Fraction(1, 1000) if times or rate == 10 else Fraction(1, rate)
        stream.codec_context.time_base = base
        if key_every:
            stream.codec_context.gop_size = key_every
        if b_frames is not None:
            stream.codec_context.max_b_frames = b_frames
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if matrix is not None:
            stream.set_display_matrix(matrix)
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
            frame.pts, frame.time_base = (times[index] if times else round(index / rate / base)), base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def damage(path, start=0.5, share=0.1, byte=0):
    """Overwrites a share of a file's bytes, from a share on."""
    data = bytearray(path.read_bytes())
    first, count = round(len(data) * start), round(len(data) * share)
    data[first : first + count] = bytes([byte]) * count
    path.write_bytes(data)
    return path
