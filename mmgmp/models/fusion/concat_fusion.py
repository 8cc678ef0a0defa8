"""Concatenation."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mmgmp.models.fusion.base_fusion import BaseFusion
from mmgmp.registry import MODELS


@MODELS.register_module()
class ConcatFusion(BaseFusion):
    """Concatenate the features in modality order; no parameters.

    Args:
        in_channels: Feature width per modality.
        init_cfg: As in MMEngine.

    Example:
        >>> fusion = ConcatFusion({'video': 3, 'audio': 2})
        >>> fusion({'audio': torch.zeros(1, 2), 'video': torch.ones(1, 3)})
        tensor([[1., 1., 1., 0., 0.]])

    Source: GMP (arXiv 2603.14175), Eq. (5), the paper's default.
    """

    def __init__(
        self,
        in_channels: Mapping[str, int],
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(in_channels, init_cfg)
        self.out_channels = sum(self.in_channels.values())

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return ``(N, sum of D_m)``; see the base class."""
        return torch.cat([features[m] for m in self.in_channels], dim=1)
