"""MMDG methods; every file here registers itself."""

from mmgmp.models.methods.base_method import BaseMethod
from mmgmp.models.methods.protocols import (
    DomainLogits,
    FeedbackReceiver,
    OwnTeachers,
    StatisticsMethod,
    TeachingMethod,
    Translator,
    WatchingMethod,
)
from mmgmp.utils.import_submodules import import_submodules

__all__ = [
    'BaseMethod',
    'DomainLogits',
    'FeedbackReceiver',
    'OwnTeachers',
    'StatisticsMethod',
    'TeachingMethod',
    'Translator',
    'WatchingMethod',
]

import_submodules(__name__, __path__)
