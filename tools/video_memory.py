"""Memory of the process while a long video is predicted, tracked, drawn and written, frame by frame.

python tools/video_memory.py --frames 108000                            # an hour at 30 frames a second, boxes made up
python tools/video_memory.py --frames 5000 --model mbv3_yolo_small.synth --size 320
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mbv3zoo.detections import Detections
from mbv3zoo.prediction import video
from mbv3zoo.prediction.frames import Frame


class MadeUp:
    """A detector that costs nothing: five objects that move on and, now and then, are replaced by others."""

    def __init__(self) -> None:
        self.count = 0

    def predict(self, images: list[np.ndarray], **settings: Any) -> list[Detections]:
        return [self._next(image.shape[:2]) for image in images]

    def _next(self, size: tuple[int, int]) -> Detections:
        self.count += 1
        step, group = self.count % 200, self.count // 200
        left = np.array([(37 * (group + index)) % 300 + step * 0.1 for index in range(5)])
        top = np.arange(5) * 40.0 + group % 7
        boxes = np.stack([left, top, left + 30, top + 30], axis=1)
        scores = np.random.default_rng(self.count).uniform(0.1, 1, 5)
        return Detections(boxes, scores.astype(np.float32), np.zeros(5, np.int64), ('thing',), size)


def resident() -> float:
    """Megabytes of memory that the process has, without the pages that it gave back (Linux)."""
    return int(Path('/proc/self/statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 1e6


def frames(count: int, side: int) -> Iterator[Frame]:
    """Noise that moves, with a line of memory after each tenth of it."""
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    for index in range(count):
        if index % max(1, count // 10) == 0:
            print(f'{index:>7} frames: {resident():.0f} MB', flush=True)
        yield Frame(index, index / 30, np.roll(noise, index % side, axis=1))
    print(f'{count:>7} frames: {resident():.0f} MB', flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--frames', type=int, default=108_000)
    parser.add_argument('--size', type=int, default=96, help='side of a frame in pixels')
    parser.add_argument('--model', help='a detector, in place of the one whose boxes are made up')
    parser.add_argument('--live', action='store_true', help='as from a camera: the newest frame only')
    arguments = parser.parse_args()
    detector: Any = MadeUp()
    if arguments.model:
        import mbv3zoo

        detector = mbv3zoo.load(arguments.model)
    # Frames as a source gives them, decoded by nobody.
    video.open_frames = lambda *_: (frames(arguments.frames, arguments.size), arguments.live)  # type: ignore[attr-defined]
    video.frame_count = lambda *_: None  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as folder:
        for line in video.write_video_predictions(detector, 'made-up.mp4', Path(folder, 'out'), track=True):
            print(line.split(';')[0])


if __name__ == '__main__':
    main()
