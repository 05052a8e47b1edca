"""What a detector found in one image."""

from mbv3zoo.detections.detections import Detections as Detections
