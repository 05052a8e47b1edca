import pytest

import mbv3zoo


@pytest.fixture
def build(tmp_path):
    """A function from a file's text to its detector, without storage unless asked otherwise."""

    def from_text(text, **settings):
        (tmp_path / 'my.yaml').write_text(text, encoding='utf-8')
        return mbv3zoo.create_detector(tmp_path / 'my.yaml', **{'device': 'meta', **settings})

    return from_text
