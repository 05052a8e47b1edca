from pathlib import Path

import pytest


@pytest.fixture(scope='session')
def scene():
    return Path(__file__).parents[3] / 'docs' / 'scene.jpg'
