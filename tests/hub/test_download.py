"""What needs no server; the rest is in test_hub.py and test_faults.py."""

import pytest

from mbv3zoo import hub


@pytest.mark.parametrize(
    'source',
    ['', 'resnet18', './org/name', '../name', 'a/b/c', 'org/na me', '/no/such', '~/runs', 'C:\\x', '\0'],
)
def test_no_id(source):
    with pytest.raises(ValueError, match="neither an existing folder nor a Hub id.*'org/name'") as caught:
        hub.pull(source)
    assert repr(source) in str(caught.value)
