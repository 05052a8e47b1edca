"""Packages that only some uses need: whether they are here, and the one command that installs them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from types import ModuleType

from mbv3zoo.utils.environment import environment
from mbv3zoo.utils.quiet import without_log, without_warnings

# Extra of mbv3zoo -> the packages that it installs, and the least version of each. pyproject.toml has the same.
EXTRAS = {
    'datasets': {'datasets': '4'},
    'demo': {'gradio': '6.27'},
    'export': {'onnx': '1.18', 'onnxscript': '0.5', 'onnxruntime': '1.22', 'openvino': '2025.2', 'nncf': '2.17'},
    'large': {'rasterio': '1.4'},
    'mlflow': {'mlflow-skinny': '3'},
    'phones': {'ncnn': '1.0.20250916', 'pnnx': '20250916', 'coremltools': '9'},
    'ray': {'ray': '2.40'},
    'supervision': {'supervision': '0.31'},
    'tensorboard': {'tensorboard': '2.14'},
    'track': {'trackers': '2.6'},
    'trackio': {'trackio': '0.20'},
    'transformers': {'transformers': '5'},
    'video': {'av': '17'},
    'wandb': {'wandb': '0.20'},
}
_LEAST = {package: least for packages in EXTRAS.values() for package, least in packages.items()}


def installed_version(package: str) -> str | None:
    """The version of a package; None where it is not installed.

    Args:
        package: Its name, as pip knows it.
    """
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def is_installed(package: str) -> bool:
    """Whether a package can be found; it is not imported.

    Args:
        package: The name that it is imported by.
    """
    try:
        spec = find_spec(package)
    except ValueError:  # a module that something else put in its place
        return True
    # A folder of that name which happens to lie here, such as `datasets`, is found too, but has no code.
    return spec is not None and getattr(spec, 'origin', '') is not None


def missing(packages: Iterable[str]) -> list[str]:
    """Those of some packages that are not installed."""
    return [package for package in packages if not is_installed(package)]


def require(what: str, *packages: str) -> None:
    """Raises ImportError in one sentence, with what to do, unless packages are installed, new enough, and work.

    They are imported for it, as each has its own ways not to work: a library of the system that is missing, another
    package that is too new.

    Args:
        what: What needs them, which begins the sentence.
        *packages: The names that they are imported by.

    Example:
        >>> require('writing onnx', 'numpy')
        >>> require('a chart', 'no_such_package')
        Traceback (most recent call last):
        ImportError: a chart needs no_such_package; install with: pip install no_such_package
    """
    if absent := missing(packages):
        raise ImportError(f'{what} needs {", ".join(absent)}; install with: {_install(absent)}')
    for package in packages:
        found, least = installed_version(package), _LEAST.get(package)
        if found and least and _numbers(found) < _numbers(least):
            raise ImportError(
                f'{what} needs {package} {least} or newer, and {found} is installed; '
                f'install with: {_install([package])}'
            )
        import_package(what, package)


def import_package(what: str, package: str) -> ModuleType:
    """Imports a package, or says in one sentence what to do.

    Args:
        what, package: As for `require`.

    Raises:
        ImportError: It is not installed, or cannot be imported.
    """
    if not is_installed(package):
        raise ImportError(f'{what} needs {package}; install with: {_install([package])}')
    try:
        # What they say of versions that they were not tested with, and of what is not on this machine. With NNCF_CI,
        # NNCF sends no statistics to its makers.
        with (
            without_warnings(),
            environment(NNCF_CI='1'),
            without_log(package),
            without_log('torch.utils.cpp_extension'),
        ):
            return import_module(package)
    except Exception as error:  # whatever it runs into
        reason = ' '.join(f'{type(error).__name__}: {error}'.split())
        raise ImportError(
            f'{what} needs {package}, which is installed but fails when it is imported ({reason}); install what it '
            f'asks for, or it anew with: pip install --force-reinstall {package}'
        ) from error


def _install(packages: list[str]) -> str:
    """The pip command for some packages."""
    # An extra may be called as what it brings by a package of another name (mlflow, by mlflow-skinny).
    extras = [name for name, own in EXTRAS.items() if {name, *own} & set(packages)]
    # One extra may have all that others have.
    extras = next(([name] for name in extras if set(packages) <= {name, *EXTRAS[name]}), extras)
    others = [package for package in packages if package not in _LEAST and package not in EXTRAS]
    return 'pip install ' + ' '.join([*([f'"mbv3zoo[{",".join(extras)}]"'] if extras else []), *others])


def _numbers(text: str) -> list[int]:
    """A version for comparison: its leading numbers, without those of a build."""
    return [int(number) for number in re.findall(r'\d+', text.partition('+')[0])]
