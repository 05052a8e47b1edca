"""Packages that are installed, told without importing them."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def installed_version(package: str) -> str | None:
    """The version of a package; None where it is not installed.

    Args:
        package: Its name, as pip knows it.
    """
    try:
        return version(package)
    except PackageNotFoundError:
        return None
