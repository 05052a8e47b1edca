"""What needs no server; the rest is in test_hub.py and test_faults.py."""

import pytest
from hub_folders import save

from mbv3zoo import hub
from mbv3zoo.saving.folder import LOADED_NAMES


def test_push_refuses_before_it_goes_online(tmp_path):
    folder = save(tmp_path / 'saved')
    with pytest.raises(ValueError, match="'name' is neither"):
        hub.push_folder(folder, 'name')
    with pytest.raises(ValueError, match='exclude each other'):
        hub.push_folder(folder, 'org/name', revision='v1', create_pr=True)
    with pytest.raises(ValueError, match='there is no folder'):
        hub.push_folder(tmp_path / 'nowhere', 'org/name')
    (folder / 'README.md').unlink()
    with pytest.raises(ValueError, match=r'has no README\.md'):
        hub.push_folder(folder, 'org/name', dry_run=True)
    save(folder)
    (folder / 'model.safetensors').write_bytes((save(tmp_path / 'other', 1) / 'model.safetensors').read_bytes())
    with pytest.raises(
        ValueError, match=r'model\.safetensors is not the file that was saved .* Save the detector again'
    ):
        hub.push_folder(folder, 'org/name')
    (folder / 'detector.safetensors').unlink()
    with pytest.raises(ValueError, match=r'has no detector\.safetensors'):
        hub.push_folder(folder, 'org/name')


def test_a_dry_run_lists_the_files(tmp_path):
    folder = save(tmp_path)
    (folder / 'model.onnx').write_bytes(b'of no concern')
    listed = hub.push_folder(folder, 'org/name', dry_run=True)
    assert listed == [(name, (folder / name).stat().st_size) for name in (*LOADED_NAMES, 'README.md')]
    assert listed[0].name == 'config.json' and listed[0].size > 0
