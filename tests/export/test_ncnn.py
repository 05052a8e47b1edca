from types import SimpleNamespace

import pytest
import torch
from exported_files import MAPS

pnnx = pytest.importorskip('pnnx')

from mbv3zoo.export import ncnn  # noqa: E402


def test_two_files_with_one_output_per_level(exported):
    path = exported('ncnn')
    assert path.with_name('model.ncnn.bin').stat().st_size > 1e6
    text = path.read_text()
    assert all(f'out{i}' in text for i in range(len(MAPS))) and 'out3' not in text


def test_what_pnnx_says_when_it_fails_is_told(tmp_path, monkeypatch):
    program = tmp_path / 'pnnx'
    program.write_text('#!/bin/sh\necho unknown operator\nexit 3\n')
    program.chmod(0o755)
    monkeypatch.setattr(pnnx, 'EXEC_PATH', str(program))
    graph = torch.nn.ReLU()
    graph.example, graph.info = lambda: torch.zeros(1, 3, 4, 4), SimpleNamespace(precision='float32')
    with pytest.raises(ValueError, match='pnnx cannot convert the network to ncnn: unknown operator'):
        ncnn.write(graph, tmp_path / 'm.ncnn.param')
    assert not list(tmp_path.glob('m.*'))
