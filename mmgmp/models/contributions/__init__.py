"""Per-modality shares of the logits of a joint head."""

from mmgmp.models.contributions.base_contribution import (
    BaseContribution,
    JointHead,
    evaluating,
)
from mmgmp.models.contributions.masked_contribution import MaskedContribution
from mmgmp.models.contributions.shapley_contribution import (
    ShapleyContribution,
)
from mmgmp.models.contributions.unimodal_contribution import (
    UnimodalContribution,
)

__all__ = [
    'BaseContribution',
    'JointHead',
    'MaskedContribution',
    'ShapleyContribution',
    'UnimodalContribution',
    'evaluating',
]
