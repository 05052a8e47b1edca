import numpy

from mbv3zoo.utils.packages import installed_version


def test_versions_are_told_without_an_import():
    assert installed_version('numpy') == numpy.__version__
    assert installed_version('mbv3zoo-has-no-such-package') is None
