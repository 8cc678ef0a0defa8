"""Filling a cache of what frozen encoder stages make of a corpus."""

from __future__ import annotations

from mmgmp.apis.feature_cache.fill import fill_cache
from mmgmp.apis.feature_cache.plans import fill_for_cells
from mmgmp.apis.feature_cache.report import DTYPES, FillReport
from mmgmp.apis.feature_cache.source import CacheSource, read_source

__all__ = [
    'DTYPES',
    'CacheSource',
    'FillReport',
    'fill_cache',
    'fill_for_cells',
    'read_source',
]
