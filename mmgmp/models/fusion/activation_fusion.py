"""Activation-based (gated) fusion."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmgmp.models.fusion.base_fusion import BaseFusion
from mmgmp.registry import MODELS


@MODELS.register_module(name=['ActivationFusion', 'GatedFusion'])
class ActivationFusion(BaseFusion):
    """A sigmoid of one modality gates the other: ``sigmoid(h_g) * h_o``.

    Args:
        in_channels: Feature width of exactly two modalities.
        out_channels: Width D [choice].
        gate: Modality that gates the other [inferred].
        init_cfg: As in MMEngine.

    Raises:
        ValueError: If there are not two modalities or ``gate`` is not one of
            them.

    Example:
        >>> fusion = ActivationFusion({'video': 3, 'audio': 2}, 4)
        >>> fusion({'audio': torch.zeros(1, 2),
        ...         'video': torch.ones(1, 3)}).shape
        torch.Size([1, 4])

    Source: GMP (arXiv 2603.14175), Table 5, which names an activation-based
    fusion without defining it. Gated fusion (Kiela et al., AAAI 2018, arXiv
    1802.02892) is [inferred]; no text or code of the authors confirms it.
    """

    default_contribution = 'ShapleyContribution'

    def __init__(
        self,
        in_channels: Mapping[str, int],
        out_channels: int = 512,
        gate: str = 'audio',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(in_channels, init_cfg)
        self.gate = gate
        self.gated = self._check_pair('gate', gate)
        self.out_channels = out_channels
        self.projections = nn.ModuleDict(
            {
                modality: nn.Linear(width, out_channels)
                for modality, width in self.in_channels.items()
            }
        )

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return ``(N, out_channels)``; see the base class."""
        gate = torch.sigmoid(self.projections[self.gate](features[self.gate]))
        fused: Tensor = gate * self.projections[self.gated](
            features[self.gated]
        )
        return fused

    def modality_parameters(self) -> dict[str, list]:
        """Return each projection with the modality it reads."""
        return {
            modality: list(layer.parameters())
            for modality, layer in self.projections.items()
        }
