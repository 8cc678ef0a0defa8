"""What happens to features between encoders and everything else."""

from mmgmp.models.feature_transforms.base_feature_transform import (
    BaseFeatureTransform,
    FeatureContext,
)
from mmgmp.utils.import_submodules import import_submodules

__all__ = ['BaseFeatureTransform', 'FeatureContext']

import_submodules(__name__, __path__)
