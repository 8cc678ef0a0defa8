"""Heads on the fused feature."""

from mmgmp.models.heads.domain_discriminator_head import (
    DomainDiscriminatorHead,
)
from mmgmp.models.heads.mlp_classifier_head import MLPClassifierHead
from mmgmp.models.heads.mlp_head import MLPHead, check_range

__all__ = [
    'DomainDiscriminatorHead',
    'MLPClassifierHead',
    'MLPHead',
    'check_range',
]
