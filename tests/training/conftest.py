import pytest
from matplotlib.figure import Figure


@pytest.fixture(autouse=True)
def _blank_plots(monkeypatch):
    """Plots are files without content: drawing them took half of the time, and tests/plots looks at them.

    The run of `test_run.py` that several tests share is made before this, and draws.
    """
    monkeypatch.setattr(Figure, 'savefig', lambda self, file, **options: None)
