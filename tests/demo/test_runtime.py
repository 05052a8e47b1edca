"""The copy of onnxruntime-web."""

import pytest

from mbv3zoo.demo import runtime


def test_the_files_are_those_of_the_release():
    files = runtime.read_runtime()
    assert len(files['ort-wasm-simd-threaded.wasm']) == 14_239_897
    assert f'ONNX Runtime Web v{runtime.VERSION}'.encode() in files['ort.wasm.min.mjs'][:200]
    assert b'MIT License' in files['LICENSE']


@pytest.mark.parametrize(
    'name, damage', [('LICENSE', b'x'), ('ort.wasm.min.mjs.xz', b'x'), ('ort.wasm.min.mjs.xz', None)]
)
def test_a_damaged_package(name, damage, tmp_path, monkeypatch):
    for path in runtime.FOLDER.iterdir():
        if path.name != name:
            (tmp_path / path.name).symlink_to(path)
        elif damage is not None:
            (tmp_path / path.name).write_bytes(damage)
    monkeypatch.setattr(runtime, 'FOLDER', tmp_path)
    with pytest.raises(ValueError, match=f'{name}.* install mbv3zoo anew'):
        runtime.read_runtime()
