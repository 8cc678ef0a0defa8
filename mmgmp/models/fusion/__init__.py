"""Fusions: features of all modalities in, one tensor out."""

from mmgmp.models.fusion.base_fusion import BaseFusion
from mmgmp.utils.import_submodules import import_submodules

__all__ = ['BaseFusion']

import_submodules(__name__, __path__)
