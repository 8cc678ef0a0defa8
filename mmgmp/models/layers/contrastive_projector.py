"""Projection of a feature onto the unit sphere."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F


class ContrastiveProjector(nn.Module):
    """Three linear layers with batch norm, then division by the L2 norm.

    Args:
        in_channels: Width of the feature, or of the part that is projected.
        hidden_channels: Width of both hidden layers.
        out_channels: Width of the unit vectors.

    Example:
        >>> import torch
        >>> projector = ContrastiveProjector(4, 8, 3)
        >>> projector(torch.randn(5, 4)).norm(dim=1).detach().round()
        tensor([1., 1., 1., 1., 1.])

    Source: SimMMDG (arXiv 2310.19795), released code; also in MOOSA, CMRF
    and NEL.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int = 2048,
        out_channels: int = 128,
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(in_channels, hidden_channels),
            nn.BatchNorm1d(hidden_channels),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_channels, hidden_channels),
            nn.BatchNorm1d(hidden_channels),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_channels, out_channels),
        )

    def forward(self, feature: Tensor) -> Tensor:
        """Return unit vectors ``(N, out_channels)`` of ``(N, D)``."""
        return F.normalize(self.layers(feature), dim=1)


def contrastive_projectors(
    widths: Mapping[str, int], hidden_channels: int, out_channels: int
) -> nn.ModuleDict:
    """Build one projector per modality.

    Args:
        widths: What each one reads.
        hidden_channels: As in :class:`ContrastiveProjector`.
        out_channels: As in :class:`ContrastiveProjector`.

    Example:
        >>> list(contrastive_projectors({'video': 4, 'audio': 2}, 8, 3))
        ['video', 'audio']
    """
    return nn.ModuleDict(
        {
            m: ContrastiveProjector(width, hidden_channels, out_channels)
            for m, width in widths.items()
        }
    )
