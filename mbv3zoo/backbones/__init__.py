"""Backbones as timm models. Importing this package registers them with timm."""

from mbv3zoo.backbones import mbv3

__all__ = ['mbv3']
