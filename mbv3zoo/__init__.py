"""mbv3zoo: any timm backbone as a small, fast object detector.

Importing it registers the MobileNetV3 backbones (`mbv3_yolo`, ...) with timm: at once where timm is imported already,
else together with timm; in the same way its detectors become models of transformers, for
`pipeline('object-detection')`. Neither torch nor timm is imported before something needs it, and a detector in an
exported file (`mbv3zoo.load('model.onnx')`) never does.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from wrapt import when_imported

from mbv3zoo.version import __version__ as __version__

# Public name -> the module that has it, imported when the name is first used.
_HOMES = {
    'DatasetReport': 'checks.dataset',
    'Detections': 'detections',
    'Detector': 'detector',
    'DetectorConfig': 'config.detector',
    'ExportedDetector': 'runtimes.exported_detector',
    'ExportedSegmenter': 'runtimes.exported_segmenter',
    'FitResult': 'fitting.stages',
    'RayDetector': 'integrations.ray_detector',
    'Segmentation': 'detections.segmentation',
    'Segmenter': 'segmenter',
    'SegmenterConfig': 'config.segmenter',
    'SyntheticConfig': 'synth.config',
    'TrainConfig': 'config.training',
    'TrainResult': 'training.train',
    'check_dataset': 'checks.dataset',
    'cost': 'info.describe',
    'create_detector': 'create',
    'create_segmenter': 'create',
    'describe': 'info.describe',
    'evaluate': 'evaluation.run',
    'fit': 'fitting.fit',
    'list_detectors': 'create',
    'list_segmenters': 'create',
    'load': 'loading',
    'load_dataset': 'data.load',
    'read_certificate': 'export.certificate',
    'register_block': 'models.layer_lists.blocks',
    'register_detector': 'zoo.registry',
    'resume_training': 'training.train',
    'run_benchmark': 'benchmark.run',
    'split_dataset': 'data.share',
    'synthesize': 'synth.writer',
    'train': 'training.train',
}

if TYPE_CHECKING:
    # The same once more, as editors and type checkers read it.
    from mbv3zoo import backbones as backbones
    from mbv3zoo.benchmark.run import run_benchmark as run_benchmark
    from mbv3zoo.checks.dataset import DatasetReport as DatasetReport
    from mbv3zoo.checks.dataset import check_dataset as check_dataset
    from mbv3zoo.config.detector import DetectorConfig as DetectorConfig
    from mbv3zoo.config.segmenter import SegmenterConfig as SegmenterConfig
    from mbv3zoo.config.training import TrainConfig as TrainConfig
    from mbv3zoo.create import create_detector as create_detector
    from mbv3zoo.create import create_segmenter as create_segmenter
    from mbv3zoo.create import list_detectors as list_detectors
    from mbv3zoo.create import list_segmenters as list_segmenters
    from mbv3zoo.data.load import load_dataset as load_dataset
    from mbv3zoo.data.share import split_dataset as split_dataset
    from mbv3zoo.detections import Detections as Detections
    from mbv3zoo.detections.segmentation import Segmentation as Segmentation
    from mbv3zoo.detector import Detector as Detector
    from mbv3zoo.evaluation.run import evaluate as evaluate
    from mbv3zoo.export.certificate import read_certificate as read_certificate
    from mbv3zoo.fitting.fit import fit as fit
    from mbv3zoo.fitting.stages import FitResult as FitResult
    from mbv3zoo.info.describe import cost as cost
    from mbv3zoo.info.describe import describe as describe
    from mbv3zoo.integrations.ray_detector import RayDetector as RayDetector
    from mbv3zoo.loading import load as load
    from mbv3zoo.models.layer_lists.blocks import register_block as register_block
    from mbv3zoo.runtimes.exported_detector import ExportedDetector as ExportedDetector
    from mbv3zoo.runtimes.exported_segmenter import ExportedSegmenter as ExportedSegmenter
    from mbv3zoo.segmenter import Segmenter as Segmenter
    from mbv3zoo.synth.config import SyntheticConfig as SyntheticConfig
    from mbv3zoo.synth.writer import synthesize as synthesize
    from mbv3zoo.training.train import TrainResult as TrainResult
    from mbv3zoo.training.train import resume_training as resume_training
    from mbv3zoo.training.train import train as train
    from mbv3zoo.zoo.registry import register_detector as register_detector
else:
    __all__ = sorted(['__version__', 'backbones', *_HOMES])

    def __getattr__(name: str) -> Any:
        if name == 'backbones':
            return import_module('mbv3zoo.backbones')
        if name not in _HOMES:
            raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
        value = getattr(import_module(f'mbv3zoo.{_HOMES[name]}'), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


@when_imported('timm')
def _register_backbones(timm: Any) -> None:
    import_module('mbv3zoo.backbones')


def _register_with_transformers(part: Any) -> None:
    name = part.__name__.rpartition('.')[2]
    try:
        import_module(f'mbv3zoo.integrations.transformers.{name}')
    except (ImportError, AttributeError) as error:
        # transformers before 5, or a later one that has changed, works on as if mbv3zoo were not there.
        logging.getLogger(__name__).info('the detectors are not registered with this transformers: %s', error)


# Each with its part, as another would be loaded too early: one that is being imported just now.
for _part in ('models.auto.configuration_auto', 'models.auto.modeling_auto', 'models.auto.image_processing_auto'):
    when_imported(f'transformers.{_part}')(_register_with_transformers)
when_imported('transformers.pipelines')(_register_with_transformers)
