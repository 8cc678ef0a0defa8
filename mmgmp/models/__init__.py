"""Recognizers and the pieces they are built from."""

from mmgmp.models import (
    adaptation,
    backbones,
    contributions,
    data_preprocessors,
    encoders,
    feature_transforms,
    forward_plans,
    fusion,
    heads,
    methods,
    recognizers,
)
from mmgmp.utils.compat import check_local_checkpoints

__all__ = [
    'adaptation',
    'backbones',
    'contributions',
    'data_preprocessors',
    'encoders',
    'feature_transforms',
    'forward_plans',
    'fusion',
    'heads',
    'methods',
    'recognizers',
]

check_local_checkpoints()
