import sys
from pathlib import Path
from types import SimpleNamespace

import mbv3zoo
from mbv3zoo.export.graph import DeployedNetwork
from mbv3zoo.export.write import write_graph
from mbv3zoo.runtimes.export_info import ExportInfo


def test_the_suffix_chooses_the_writer(monkeypatch):
    written = []
    writer = SimpleNamespace(write=lambda graph, path: written.append((graph, path)))
    monkeypatch.setitem(sys.modules, 'mbv3zoo.export.torch_export', writer)
    detector = mbv3zoo.create_detector('mbv3_yolo_small_050', num_classes=2, image_size=64)
    info = ExportInfo.of(detector.config, detector.strides, '0')
    write_graph(detector, info, Path('a.pt2'))
    ((graph, path),) = written
    assert isinstance(graph, DeployedNetwork) and graph.info is info and path == Path('a.pt2')
