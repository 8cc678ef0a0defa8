"""Layer norm on the features."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from mmgmp.models.feature_transforms.base_feature_transform import (
    BaseFeatureTransform,
    FeatureContext,
)
from mmgmp.registry import MODELS


@MODELS.register_module()
class FeatureNorm(BaseFeatureTransform):
    """A ``LayerNorm`` per modality, in training and at test time.

    Part of MBCD, and of the later of JAT's two released versions.

    Args:
        in_channels: Feature width D_m per modality.
        affine: Whether scale and shift are trained. False keeps them at 1
            and 0, as the code that was released with MBCD does.
        init_cfg: As in MMEngine.

    Example:
        >>> import torch
        >>> norm = FeatureNorm({'audio': 2})
        >>> features = {'audio': torch.tensor([[1., 3.]])}
        >>> norm(features, FeatureContext())['audio'].detach().round()
        tensor([[-1.,  1.]])

    Source: MBCD (arXiv 2511.20258), released code.
    """

    def __init__(
        self,
        in_channels: Mapping[str, int],
        affine: bool = True,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(in_channels, init_cfg)
        self.norms = nn.ModuleDict(
            {
                m: nn.LayerNorm(width, elementwise_affine=affine)
                for m, width in in_channels.items()
            }
        )

    def forward(
        self,
        features: Mapping[str, Tensor],
        context: FeatureContext,  # noqa: ARG002
    ) -> dict[str, Tensor]:
        """Return normalised features; see the base class."""
        return {m: self.norms[m](x) for m, x in features.items()}
