"""Backbones that MMAction2 lacks."""

from mmgmp.models.backbones.wdcnn import WDCNN

__all__ = ['WDCNN']
