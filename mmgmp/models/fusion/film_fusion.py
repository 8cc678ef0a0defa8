"""Feature-wise linear modulation."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from mmgmp.models.fusion.base_fusion import BaseFusion
from mmgmp.registry import MODELS


@MODELS.register_module()
class FiLMFusion(BaseFusion):
    """One modality scales and shifts the other, feature by feature.

    ``z = gamma * (P phi_target + p) + beta`` with ``(gamma, beta)`` a linear
    function of the conditioning feature.

    Args:
        in_channels: Feature width of exactly two modalities.
        out_channels: Width D [choice].
        condition: Modality that conditions the other [inferred].
        residual_gamma: Predict ``gamma - 1`` instead of gamma.
        init_cfg: As in MMEngine.

    Raises:
        ValueError: If there are not two modalities or ``condition`` is not
            one of them.

    Example:
        >>> import torch
        >>> fusion = FiLMFusion({'video': 3, 'audio': 2}, out_channels=4)
        >>> fusion({'audio': torch.zeros(1, 2),
        ...         'video': torch.ones(1, 3)}).shape
        torch.Size([1, 4])

    Source: Perez et al., AAAI 2018 (arXiv 1709.07871); GMP (arXiv
    2603.14175), Table 5.
    """

    default_contribution = 'ShapleyContribution'

    def __init__(
        self,
        in_channels: Mapping[str, int],
        out_channels: int = 512,
        condition: str = 'audio',
        residual_gamma: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(in_channels, init_cfg)
        self.condition = condition
        self.target = self._check_pair('condition', condition)
        self.out_channels = out_channels
        self.residual_gamma = residual_gamma
        self.generator = nn.Linear(
            self.in_channels[condition], 2 * out_channels
        )
        self.projection = nn.Linear(
            self.in_channels[self.target], out_channels
        )

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return ``(N, out_channels)``; see the base class."""
        gamma, beta = self.generator(features[self.condition]).chunk(2, dim=1)
        if self.residual_gamma:
            gamma = gamma + 1
        fused: Tensor = gamma * self.projection(features[self.target]) + beta
        return fused

    def modality_parameters(self) -> dict[str, list]:
        """Return generator and projection with the modality they read."""
        return {
            self.condition: list(self.generator.parameters()),
            self.target: list(self.projection.parameters()),
        }
