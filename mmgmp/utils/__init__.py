"""Compatibility shims and submodule discovery; imports no other room."""

from __future__ import annotations

from mmgmp.utils.import_submodules import import_submodules

__all__ = ['import_submodules']
