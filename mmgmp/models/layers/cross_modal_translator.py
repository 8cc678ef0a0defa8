"""Prediction of one modality's feature from another's."""

from __future__ import annotations

from torch import Tensor, nn


class CrossModalTranslator(nn.Module):
    """Linear, ReLU, Linear, ReLU, Dropout, Linear.

    Args:
        in_channels: Width of the feature that is read.
        out_channels: Width of the feature that is predicted.
        hidden_channels: Width of both hidden layers.
        dropout: Drop probability before the last layer.

    Example:
        >>> import torch
        >>> CrossModalTranslator(4, 6, 8)(torch.zeros(2, 4)).shape
        torch.Size([2, 6])

    Source: SimMMDG (arXiv 2310.19795), released code; also in MOOSA.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        hidden_channels: int = 2048,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(in_channels, hidden_channels),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_channels, hidden_channels),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden_channels, out_channels),
        )

    def forward(self, feature: Tensor) -> Tensor:
        """Return ``(N, out_channels)`` of ``(N, in_channels)``."""
        predicted: Tensor = self.layers(feature)
        return predicted
