"""Summation of projected features."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from mmgmp.models.fusion.base_fusion import BaseFusion
from mmgmp.registry import MODELS


@MODELS.register_module()
class SumFusion(BaseFusion):
    """Project every feature to one width and add: ``sum_m P_m phi^m + p_m``.

    Args:
        in_channels: Feature width per modality.
        out_channels: Common width D [choice].
        init_cfg: As in MMEngine.

    Example:
        >>> import torch
        >>> fusion = SumFusion({'video': 3, 'audio': 2}, out_channels=4)
        >>> fusion({'audio': torch.zeros(1, 2),
        ...         'video': torch.ones(1, 3)}).shape
        torch.Size([1, 4])

    Source: GMP (arXiv 2603.14175), Table 5; the paper gives no formula,
    feature-level summation is [inferred].
    """

    def __init__(
        self,
        in_channels: Mapping[str, int],
        out_channels: int = 512,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(in_channels, init_cfg)
        self.out_channels = out_channels
        self.projections = nn.ModuleDict(
            {
                modality: nn.Linear(width, out_channels)
                for modality, width in self.in_channels.items()
            }
        )

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return ``(N, out_channels)``; see the base class."""
        projected = [
            layer(features[modality])
            for modality, layer in self.projections.items()
        ]
        total: Tensor = sum(projected[1:], start=projected[0])
        return total

    def modality_parameters(self) -> dict[str, list]:
        """Return each projection with the modality it reads."""
        return {
            modality: list(layer.parameters())
            for modality, layer in self.projections.items()
        }
