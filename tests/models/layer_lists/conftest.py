import pytest

from mbv3zoo.models.layer_lists import blocks


@pytest.fixture(autouse=True)
def _fresh_table(monkeypatch):
    """Blocks that a test registers are gone after it."""
    monkeypatch.setattr(blocks, '_registered', {})
