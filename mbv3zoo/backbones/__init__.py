"""Backbones as timm models. Importing this package registers them with timm."""

from mbv3zoo.backbones import cspdarknet, mbv3, narrowed

__all__ = ['cspdarknet', 'mbv3', 'narrowed']
