"""Building blocks that several methods share; they need torch only."""

from mmgmp.models.layers.contrastive_projector import (
    ContrastiveProjector,
    contrastive_projectors,
)
from mmgmp.models.layers.cross_modal_translator import CrossModalTranslator
from mmgmp.models.layers.gradient_reversal import reverse_gradient
from mmgmp.models.layers.modality_dropout import drop_modalities
from mmgmp.models.layers.partners import other_domain
from mmgmp.models.layers.supervised_contrast import (
    stack_modalities,
    supervised_contrast,
)
from mmgmp.models.layers.weight_ramp import WeightRamp

__all__ = [
    'ContrastiveProjector',
    'CrossModalTranslator',
    'WeightRamp',
    'contrastive_projectors',
    'drop_modalities',
    'other_domain',
    'reverse_gradient',
    'stack_modalities',
    'supervised_contrast',
]
