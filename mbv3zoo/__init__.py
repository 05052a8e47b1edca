"""mbv3zoo: any timm backbone as a small, fast object detector.

Importing it registers the MobileNetV3 backbones (`mbv3_yolo`, ...) with timm.
"""

import sys
from pathlib import Path

from mbv3zoo.version import __version__

# The program `mbv3zoo` answers --help before torch and timm are imported, which takes seconds; its commands import what
# they need. ('-m' stands in sys.argv[0] while `python -m mbv3zoo` finds its module.)
if not (sys.argv and (sys.argv[0] == '-m' or Path(sys.argv[0]).stem == 'mbv3zoo')):
    from mbv3zoo import backbones
    from mbv3zoo.config import DetectorConfig, TrainConfig
    from mbv3zoo.create import create_detector, list_detectors
    from mbv3zoo.detections import Detections
    from mbv3zoo.detector import Detector
    from mbv3zoo.models.blocks import register_block
    from mbv3zoo.zoo import register_detector

    __all__ = [
        'Detections',
        'Detector',
        'DetectorConfig',
        'TrainConfig',
        '__version__',
        'backbones',
        'create_detector',
        'list_detectors',
        'register_block',
        'register_detector',
    ]
