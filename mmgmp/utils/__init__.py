"""Compatibility shims and small helpers; imports no other room."""

from __future__ import annotations

from mmgmp.utils.draft_files import draft_files
from mmgmp.utils.import_submodules import import_submodules

__all__ = ['draft_files', 'import_submodules']
